"""A privacy statement, as it stands in a record, laid out for reading.

The statement is data of another part and may lack keys or bring new ones: whatever is missing is
said to be missing, and nothing is assumed in its favour.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fedaffect.record import RunRecord
from fedaffect.reports.formats import count, delta, epsilon, number

STATUS_WORDS = {
    "FORMAL": "Formal guarantee",
    "CONDITIONAL": "Conditional guarantee only",
    "NONE": "No formal guarantee",
}
COVERED = {
    "noise": "yes: noised",
    "freeze": "yes: never trained",
    "keep_local": "yes: never leaves the client",
    "clear": "NO: released in the clear",
}
_ROLES = (
    ("Server (aggregator)", "every client's update"),
    ("Other clients", "the global model of every round"),
    ("Recipient of the model", "the final global model"),
    ("Outsider", "nothing, unless a model or this report is handed on"),
)


def status(privacy: Mapping[str, Any]) -> str:
    """Return ``FORMAL``, ``CONDITIONAL`` or ``NONE``; anything else counts as ``NONE``."""
    named = str(privacy.get("status", "NONE")).upper()
    return named if named in STATUS_WORDS else "NONE"


def scope(privacy: Mapping[str, Any], observer: object = None) -> str:
    """Write what an epsilon refers to: unit, adjacency, observer, horizon and accountant."""
    accountant = _mapping(privacy.get("accountant"))
    parts = [
        f"per {text_of(privacy.get('unit'), 'unit not stated')}",
        f"adjacency {text_of(privacy.get('adjacency'), 'not stated')}",
        f"observer {text_of(observer, '') or _covered_observers(privacy)}",
        f"horizon {horizon(privacy)}",
    ]
    if accountant.get("name"):
        named = f"{accountant['name']} {accountant.get('version') or ''}".strip()
        parts.append(f"accountant {named}")
    return ", ".join(parts)


def horizon(privacy: Mapping[str, Any]) -> str:
    """Write which releases are counted together: ``run, 40 of 40 releases``."""
    named = text_of(privacy.get("horizon"), "not stated")
    done, planned = privacy.get("releases_done"), privacy.get("releases_planned")
    return named if planned is None else f"{named}, {number(done)} of {number(planned)} releases"


def budget(privacy: Mapping[str, Any]) -> str:
    """Write ``(ε = 5.00, δ = 1e-5), per client, adjacency ...``, or that there is none."""
    if status(privacy) != "FORMAL" or privacy.get("eps") is None:
        return "The released models have no finite ε."
    pair = f"(ε = {epsilon(privacy.get('eps'))}, δ = {delta(privacy.get('delta'))})"
    return f"{pair}, {scope(privacy)}"


def observer_rows(privacy: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return one row per observer: who, what they see, eps, delta."""
    rows = []
    for one in _observers(privacy):
        bounded = _is_number(one.get("eps"))
        rows.append(
            {
                "name": text_of(_first(one, "name", "observer", "who"), "unnamed"),
                "sees": text_of(_first(one, "sees", "text", "note", "sentence"), "not stated"),
                "eps": epsilon(one["eps"]) if bounded else "no finite value",
                "delta": delta(one.get("delta", privacy.get("delta"))) if bounded else "n/a",
            }
        )
    return rows


def observer_caption(privacy: Mapping[str, Any]) -> str:
    """Write what holds for every row of the observer table."""
    unit = text_of(privacy.get("unit"), "not stated")
    adjacency = text_of(privacy.get("adjacency"), "not stated")
    return (
        f"Per observer, for the same unit ({unit}), adjacency ({adjacency}) and horizon "
        f"({horizon(privacy)})"
    )


def block_rows(record: RunRecord) -> list[dict[str, str]]:
    """Return one row per block of the model: size, policy, clip, noise, whether it is covered."""
    rows, seen = [], set()
    for item in _items(record.privacy.get("blocks")):
        one = _mapping(item)
        name = text_of(one.get("name"), "unnamed")
        seen.add(name)
        policy = text_of(one.get("policy"), "not stated")
        size = _first(one, "parameters", "d")
        rows.append(
            {
                "name": name,
                "parameters": number(record.model.blocks.get(name) if size is None else size),
                "policy": policy,
                "clip": number(_first(one, "clip", "C")),
                "sigma": number(_first(one, "sigma", "noise_sd")),
                "covered": COVERED.get(policy, "not stated"),
                "conditional": _conditional(one, record.privacy),
            }
        )
    uncovered = {"policy": "clear", "clip": "n/a", "sigma": "n/a", "covered": COVERED["clear"]}
    for name, size in record.model.blocks.items():
        if name not in seen:
            rows.append({"name": name, "parameters": count(size), **uncovered, "conditional": ""})
    return rows


def threat_rows(privacy: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return who sees what and what stands between them and the training data."""
    formal = status(privacy) == "FORMAL"
    server = "nothing: it is trusted" + (", also to add the noise" if formal else "")
    if text_of(privacy.get("where"), "") == "client" and formal:
        server = "noise that each client adds before it sends: the guarantee below"
    elif text_of(privacy.get("where"), "") == "client":
        server = "nothing formal"
    guarded = "the guarantee below" if formal else "nothing formal"
    shields = (server, guarded, guarded, guarded)
    return [
        {"who": who, "sees": sees, "shield": shield}
        for (who, sees), shield in zip(_ROLES, shields, strict=True)
    ]


def person_sentence(record: RunRecord) -> str:
    """Say what the statement means for one person."""
    if text_of(record.privacy.get("unit"), "") == "window":
        return (
            "The unit is one training window, not a person: a person has many windows, and "
            "nothing is promised for a person as a whole."
        )
    most = record.data.partition.clients_per_subject_max
    person = _mapping(record.privacy.get("person"))
    eps_person = _first(person, "eps", "eps_person")
    if most <= 1:
        if record.data.partition.subjects_per_client_max <= 1:
            return "Each client is one person, so what holds per client holds per person."
        return (
            "A client holds several people; what holds for a client holds for each of them, "
            "all of a person's windows being with one client."
        )
    spread = f"A person's windows lie with up to {count(most)} clients"
    if status(record.privacy) != "FORMAL":
        return f"{spread}: even a guarantee per client would not be one per person."
    sentence = f"{spread}: there is no per-person guarantee at the stated ε."
    if eps_person is not None:
        of_person = person.get("delta", record.privacy.get("delta"))
        sentence += (
            f" Per person it is (ε = {epsilon(eps_person)}, δ = {delta(of_person)}), by group "
            f"privacy, {scope({**record.privacy, 'unit': 'person'})}."
        )
    return sentence


def lines(value: object) -> list[str]:
    """Return a list of sentences from whatever stands in a statement: list, text, mapping."""
    if not value:
        return []
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [f"{k}: {text_of(v, '')}" for k, v in value.items()]
    if isinstance(value, list | tuple):
        return [text_of(v, "") for v in value]
    return [str(value)]


def text_of(value: object, missing: str) -> str:
    """Return ``value`` as text for a cell; mappings and lists are written in one line."""
    if value is None or value == "":
        return missing
    if isinstance(value, Mapping):
        return "; ".join(f"{k}: {text_of(v, '')}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(text_of(v, "") for v in value)
    return number(value)


def _conditional(block: Mapping[str, Any], privacy: Mapping[str, Any]) -> str:
    given = block.get("conditional", block.get("conditional_eps"))
    if given is None:
        return ""
    if isinstance(given, str):
        return given
    pair = _mapping(given) or {"eps": given}
    at = delta(_first({**privacy, **block, **pair}, "conditional_delta", "delta"))
    return (
        f"(ε = {epsilon(pair.get('eps'))}, δ = {at}) per "
        f"{text_of(privacy.get('unit'), 'unit not stated')}, one round, given the broadcast model"
    )


def _observers(privacy: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    given = privacy.get("observers")
    if isinstance(given, Mapping):
        return [{"name": k, **(_mapping(v) or {"sees": v})} for k, v in given.items()]
    return [_mapping(item) or {"name": item} for item in _items(given)]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _covered_observers(privacy: Mapping[str, Any]) -> str:
    """Name the observers for whom the stated epsilon holds, so not those with a larger one."""
    stated = privacy.get("eps")
    names = [
        row["name"]
        for row, given in zip(observer_rows(privacy), _observers(privacy), strict=True)
        if _is_number(stated) and _is_number(given.get("eps")) and given["eps"] <= stated
    ]
    return " and ".join(names) if names else "not stated"


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _items(value: object) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _first(of: Mapping[str, Any], *keys: str) -> Any:
    return next((of[k] for k in keys if of.get(k) is not None), None)
