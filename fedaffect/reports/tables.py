"""The two-column tables of a report, and the sentences that stand beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fedaffect.record import Forecast, RunRecord
from fedaffect.reports import guarantee
from fedaffect.reports.formats import count, delta, duration, epsilon, number, percent, plural
from fedaffect.reports.wording import NORMALISATION

Facts = list[tuple[str, str]]
_CAN_LEARN = {True: "yes", False: "not expected", None: "cannot be said"}
BLOCK_COLUMNS = (
    "Block", "Parameters", "Policy", "Clip norm", "Noise sd", "Covered", "On its own",
)  # fmt: skip


def guarantee_facts(record: RunRecord) -> Facts:
    """Return the parts of the privacy statement, those that exist."""
    privacy = record.privacy
    formal = guarantee.status(privacy) == "FORMAL" and privacy.get("eps") is not None
    rows: Facts = [("Status", guarantee.STATUS_WORDS[guarantee.status(privacy)])]
    rows.append(("ε and δ", guarantee.budget(privacy)))
    for title, key in (
        ("Mechanism", "mechanism"),
        ("Unit", "unit"),
        ("Adjacency", "adjacency"),
        ("Noise is added at", "where"),
        ("Horizon", "horizon"),
        ("Sampling", "sampling"),
        ("Most releases of one client", "participation_cap"),
        ("Clip", "clip"),
        ("Ended early", "stopped"),
        ("Accountant", "accountant"),
        ("Noise key", "noise_key_kind"),
    ):
        if privacy.get(key) not in (None, "", [], {}):
            rows.append((title, _fact(privacy, key)))
    if formal and privacy.get("eps_per_round") is not None:
        rows += [("One round alone", _alone(privacy, "eps_per_round", "one round"))]
        rows += [("Sum over rounds", _alone(privacy, "eps_basic", "run, basic composition"))]
    if formal and isinstance(privacy.get("group"), Mapping):
        rows.append(("One second of signal", guarantee.text_of(privacy["group"].get("text"), "")))
    if formal and privacy.get("mu") is not None:
        rows.append(("Gaussian privacy parameter μ", number(privacy["mu"])))
    return rows


def _alone(privacy: Mapping[str, Any], key: str, horizon: str) -> str:
    scope = guarantee.scope({**privacy, "horizon": horizon, "releases_planned": None})
    return f"(ε = {epsilon(privacy.get(key))}, δ = {delta(privacy.get('delta'))}), {scope}"


def _clip(clip: Mapping[str, Any]) -> str:
    """Write what is bounded, and by how much."""
    bounds = guarantee.text_of(clip.get("bounds"), "not stated")
    norm, target = (guarantee.text_of(clip.get(k), "not stated") for k in ("norm", "target"))
    said = f"{norm} norm of the {target} at most {bounds}"
    adaptive = clip.get("adaptive")
    if isinstance(adaptive, Mapping):
        said += (
            f" at the start; it follows the quantile {number(adaptive.get('quantile'))} of the "
            f"clients' norms, from a count with noise sd {number(adaptive.get('count_noise'))}"
        )
    return said


def _fact(privacy: Mapping[str, Any], key: str) -> str:
    value = privacy[key]
    if key == "horizon":
        return guarantee.horizon(privacy)
    if key == "accountant" and isinstance(value, Mapping):
        named = " ".join(str(value[k]) for k in ("name", "version") if value.get(k))
        check = value.get("cross_check")
        if isinstance(check, Mapping) and check.get("eps") is not None:
            pair = f"(ε = {epsilon(check['eps'])}, δ = {delta(privacy.get('delta'))})"
            named += (
                f"; cross-check by {guarantee.text_of(check.get('name'), 'a second one')}: "
                f"{pair}, {guarantee.scope({**privacy, 'accountant': None})}"
            )
        return named or "not stated"
    if key == "clip" and isinstance(value, Mapping):
        return _clip(value)
    if key == "sampling" and isinstance(value, Mapping) and value.get("text"):
        return str(value["text"])
    return guarantee.text_of(value, "not stated")


def forecast_sentence(forecast: Forecast) -> str:
    """Say whether such a run can learn, as it was known before it started."""
    if forecast.noise_multiplier is None:
        return "No noise is added, so nothing stands in the way of learning, or of leaking."
    if forecast.can_learn is None:
        return (
            "Noise is drawn in many local steps and averages out: only a run tells what is learnt."
        )
    if forecast.can_learn:
        return "With this noise the run can learn: the signal is at least as long as the noise."
    return (
        "With this noise the run was not expected to learn: the noise on the average update is "
        "longer than the whole clipped signal."
    )


def forecast_facts(forecast: Forecast) -> Facts:
    """Return noise, signal and the number of clients at which they are equal."""
    return [
        ("Noise multiplier", _or_none(forecast.noise_multiplier)),
        ("Noise sd per coordinate of the sum", _or_none(forecast.noise_sd)),
        ("Clients per round", number(forecast.clients_per_round)),
        ("Break-even clients per round", _or_none(_ceil(forecast.break_even_clients))),
        ("Noise to signal", _or_none(forecast.noise_to_signal)),
        ("Can learn", _CAN_LEARN[forecast.can_learn]),
    ]


def data_facts(record: RunRecord) -> Facts:
    """Return what the data are, and under which licence."""
    data, model = record.data, record.model
    no_stress, stress = (sum(row[i] for row in data.partition.by_stress) for i in (0, 1))
    return [
        ("Data set", data.name + (" (synthetic people)" if data.synthetic else "")),
        ("Licence", data.licence or "not stated"),
        ("Citation", data.citation or "not stated"),
        ("People", count(data.people)),
        ("Windows", f"{count(data.windows)} of {number(data.window_s)} s, "
                    f"{percent(data.overlap)} overlap"),
        ("Features", count(data.features)),
        ("Training labels, by client sum", f"{count(no_stress)} no stress, {count(stress)} stress"),
        ("Model", f"{model.name}, {count(model.parameters)} parameters, tasks "
                  f"{', '.join(guarantee.text_of(t.get('name'), '?') for t in model.tasks)}"),
        ("Fingerprint", data.fingerprint),
    ]  # fmt: skip


def split_facts(record: RunRecord) -> Facts:
    """Return how training and test were kept apart."""
    split = record.data.split
    gap = "n/a" if split.smallest_gap_s is None else f"{number(split.smallest_gap_s)} s"
    return [
        ("Protocol", f"{split.spec}, {plural(split.folds, 'fold')}"),
        ("People in training", count(split.people_seen)),
        ("People held out", count(split.people_unseen)),
        ("Training windows", count(split.windows_train)),
        ("Test windows, stress", count(split.windows_stress_test)),
        ("Test windows, identity", count(split.windows_identity_test)),
        ("Smallest gap to training", gap),
        ("Windows overlap across the split", "YES" if split.leaks_overlap else "no"),
    ]


def normalisation(description: str) -> str:
    """Say what was done to the features before training; ``description`` starts with the choice."""
    choice = description.split(":")[0].strip().lower()
    known = NORMALISATION.get("none" if choice.startswith("no ") else choice, "")
    return f"{description.rstrip('.')}. {known}".strip()


def file_row(file: Mapping[str, Any]) -> tuple[str, str]:
    """Return a file's name and everything else that the record knows of it."""
    name = next((str(file[k]) for k in ("path", "name", "file") if file.get(k)), "unnamed")
    rest = {k: v for k, v in file.items() if k not in ("path", "name", "file")}
    return name, guarantee.text_of(rest or None, "")


def tradeoff_note(record: RunRecord) -> str:
    """Say what the run can be compared with."""
    if not any((record.no_dp, record.iid_reference, record.public_only)):
        return "This run has no reference beside it."
    return "Hollow marks are references, the filled mark is this run."


def curves_note(record: RunRecord) -> str:
    """Say what the curves show and what they do not."""
    folds = len({r.fold for r in record.rounds})
    mean = (
        f"Bold: mean over {plural(folds, 'fold')}; thin (where drawn): single folds. "
        if folds > 1
        else ""
    )
    return (
        f"{mean}The probe by round is a quick linear attacker; the attacks below are stronger and "
        "are what to quote. The own head is not a privacy metric."
    )


def spent_scope(record: RunRecord) -> str:
    """Say what the epsilon of a round refers to."""
    if all(r.eps_spent is None for r in record.rounds):
        return "there is no finite value."
    at = delta(record.privacy.get("delta"))
    scope = guarantee.scope(
        {**record.privacy, "horizon": "rounds so far", "releases_planned": None}
    )
    return f"at δ = {at}, {scope}."


def environment(record: RunRecord) -> Facts:
    """Return versions, machine, seed and hashes."""
    p = record.provenance
    rows = [
        ("fedaffect", p.version),
        ("Seed", str(p.seed)),
        ("Engine", f"{p.engine}, {plural(p.workers, 'worker')}"),
        ("Clients trained on", "a GPU" if "gpu" in p.environment else "the CPU"),
        ("Started", p.started),
        ("Ended", f"{p.ended} ({duration(p.seconds)})"),
        ("Config SHA-256", p.config_sha256),
        ("Data fingerprint", record.data.fingerprint),
    ]
    named = sorted(p.environment.items())
    return rows + [(key, guarantee.text_of(value, "n/a")) for key, value in named]


def reproduce_note(record: RunRecord) -> str:
    """Say how far a repeated run agrees."""
    if record.forecast.noise_multiplier is None:
        return "Equal seeds give equal figures on the same versions."
    return (
        "Data, split, clients and initial weights repeat with the seed. Privacy noise comes from "
        "a secret key and must not repeat, so figures differ within its spread."
    )


def _or_none(value: float | None) -> str:
    return "none" if value is None else number(value)


def _ceil(value: float | None) -> float | None:
    return None if value is None else float(-(-value // 1))
