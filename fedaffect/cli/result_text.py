"""Rounds and result of a run as lines of text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fedaffect.record import Estimate, RoundRecord, RunRecord

_HEADER = " round clients    loss  stress bal.acc  own id head  id probe  eps so far"


def header(clip: bool) -> str:
    """Return the head of the table of rounds; ``clip``: with a column for a clip that adapts."""
    return f"{_HEADER}{'     clip' if clip else ''}  time"


def round_line(r: RoundRecord, clip: bool = False) -> str:
    """Return one row of the table of rounds."""
    answered = "secret" if r.clients is None else f"{r.clients}/{r.clients_planned}"
    bound = f"  {max(r.clip):7.3g}" if clip and r.clip else ""
    row = (
        f" {r.round:5} {answered:>7} {_number(r.loss):>7}  "
        f"{_share(r.stress_balanced_accuracy):>14}  {_share(r.identity_own_head):>11}  "
        f"{_share(r.identity_probe):>8}  {_number(r.eps_spent):>10}{bound}  {r.seconds:3.1f}s"
    )
    return f"{row}\n       abandoned: too few replies, nothing was released" if r.abandoned else row


def result_lines(record: RunRecord) -> list[str]:
    """Return the result: figures with intervals and chance, references, the guarantee."""
    f, split = record.figures, record.data.split
    people = f"{split.people_unseen} held-out people" if split.people_unseen else "held-out blocks"
    synthetic = "SYNTHETIC PEOPLE   " if record.data.synthetic else ""
    refs = [
        ("public", record.public_only),
        ("no DP", record.no_dp),
        ("IID, no DP", record.iid_reference),
    ]
    known = [(name, figures) for name, figures in refs if figures is not None]
    lines = [
        "",
        f"Result   {synthetic}95 % intervals over people",
        f"         stress on {people}, identity on held-out blocks of seen people",
        *_defence(record.provenance.config.get("defence", {})),
        f"  {'':25}{'this run':24}{'chance':8}" + "".join(f"{name:11}" for name, _ in known),
    ]
    rows: list[tuple[str, Any]] = [
        ("stress balanced acc.", lambda x: x.stress_balanced_accuracy),
        ("stress accuracy", lambda x: x.stress_accuracy),
        ("stress macro-F1", lambda x: x.stress_macro_f1),
        ("identity, own head", lambda x: x.identity_own_head),
        ("identity, new attacker", lambda x: x.identity_strongest),
    ]
    for label, get in rows:
        beside = "".join(f"{_share(get(x).value):11}" for _, x in known)
        mark = "<- this" if label.endswith("attacker") else ""
        lines.append(f"  {label:25}{_interval(get(f)):24}{_share(get(f).chance):8}{beside}{mark}")
    attackers = ", ".join(f"{n} {_share(e.value)}" for n, e in f.identity_attacks.items())
    raw = _share(f.raw_features_attack.value)
    lines += [f"  attackers: {attackers}; on the raw features: {raw}"] if attackers else []
    lines += ["", *_privacy(record.privacy)]
    told = [w.partition(" ") for w in record.warnings if not w.startswith("W112")]
    lines += ["", *(f"! {code.rstrip(':')}     {text}" for code, _, text in told), ""]
    lines.append(f"Files    {record.folder}   report: {record.folder}/report.html")
    return lines


def _defence(chosen: dict[str, Any]) -> list[str]:
    """Return which defence was on; nothing where there was none."""
    name, strength = chosen.get("name", "none"), chosen.get("strength")
    if name == "none" or strength == 0:
        return []
    return [f"         defence {name}" + (f", strength {strength:g}" if strength else "")]


def _privacy(said: dict[str, Any]) -> list[str]:
    """Return the statement, who sees what, and what stands beside it."""
    lines = [f"Privacy  {said['status']}: {said['sentence']}"]
    lines += [f"         {detail}" for detail in said["details"]]
    if said["status"] == "FORMAL":
        lines += [f"         {_seen_by(line)}" for line in said["observers"]]
    for name in ("per_client", "other_runs"):
        if beside := said.get(name):
            lines.append(f"         {beside['text']}")
    return lines


def _seen_by(line: dict[str, Any]) -> str:
    from fedaffect.privacy.wording import pair_text

    held = "" if line["eps"] is None else f"{pair_text(line['eps'], line['delta'])}; "
    return f"{line['observer']}: {held}{line['text']}"


def _interval(e: Estimate) -> str:
    if e.value is None:
        return e.note or "n/a"
    if e.low is None or e.high is None:
        return _share(e.value)
    return f"{e.value:.1%} [{e.low * 100:.1f}, {e.high * 100:.1f}]"


def _share(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.1%}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}" if abs(value) < 1000 else f"{value:.1e}"
