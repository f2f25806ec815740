"""sweep.html: the trade-off of a sweep on one page, without scripts or loads."""

from __future__ import annotations

from collections.abc import Sequence

from fedaffect.record import Estimate
from fedaffect.reports.formats import accuracy, attacker, delta, epsilon, number, percent
from fedaffect.reports.html_page import thinned
from fedaffect.reports.page_template import render
from fedaffect.reports.pareto import Point, tradeoff_front
from fedaffect.reports.wording import SIMULATED, SYNTHETIC
from fedaffect.sweep_record import (
    CellRecord,
    OverSeeds,
    PrivacyInShort,
    SettingRecord,
    SweepRecord,
)

SECTIONS = (
    ("summary", "Summary"),
    ("tradeoff", "Trade-off"),
    ("settings", "Settings"),
    ("privacy", "Privacy"),
    ("cells", "Cells"),
    ("limits", "Limits"),
)
SETTING_COLUMNS = ("Setting", "Seeds", "Stress, balanced accuracy", "Chance",
                   "Strongest fresh attacker", "Chance", "Own head (not a privacy metric)",
                   "On the front")  # fmt: skip
PRIVACY_COLUMNS = ("Setting", "Status", "Mechanism", "Unit", "ε, whole run", "δ", "Noise",
                   "Claim for one round", "Worth of it")  # fmt: skip
CELL_COLUMNS = ("Cell", "State", "Run", "Stress", "Strongest fresh attacker", "Attacker", "ε")
LESS_RELIABLE = "A hollow mark or a status other than FORMAL holds no guarantee, whatever its ε."


def render_sweep(record: SweepRecord) -> str:
    """Return the page of a sweep as text: self-contained, and equal for equal records."""
    done = [cell.figures for cell in record.cells if cell.figures is not None]
    drawing = tradeoff_front(points_of(record.settings), title=record.finding) if done else None
    failed = [cell for cell in record.cells if cell.figures is None]
    return render(
        "sweep.html.j2",
        {"thinned": thinned},
        record=record,
        sections=SECTIONS,
        banner=SYNTHETIC if any(f.synthetic for f in done) else SIMULATED,
        synthetic=any(f.synthetic for f in done),
        data=done[0].data if done else "no data",
        drawing=drawing,
        hypervolume="n/a" if record.hypervolume is None else f"{record.hypervolume:.3f}",
        front=[_in_words(s) for s in record.settings if s.on_front],
        setting_columns=SETTING_COLUMNS,
        settings=[_setting_row(s) for s in record.settings],
        best=[at for at, s in enumerate(record.settings) if s.on_front],
        privacy_columns=PRIVACY_COLUMNS,
        privacy=[_privacy_row(s.name, s.privacy) for s in record.settings],
        less_reliable=LESS_RELIABLE,
        cell_columns=CELL_COLUMNS,
        cells=[_cell_row(cell) for cell in record.cells],
        failed=[_failure(cell) for cell in failed],
        stopped=[_failure(cell) for cell in record.cells if cell.state == "stopped"],
        axes=[(axis.key, ", ".join(axis.values)) for axis in record.axes],
    )


def points_of(settings: Sequence[SettingRecord]) -> list[Point]:
    """Return the settings as points: filled where a formal guarantee holds."""
    return [
        Point(
            name=s.name,
            utility=s.stress.figure,
            leak=s.attacker.figure,
            family=s.family,
            filled=s.privacy.status == "FORMAL",
        )
        for s in settings
    ]


def eps_of(privacy: PrivacyInShort) -> str:
    """Write the total eps of a run: ``5.00``, or that there is none."""
    return "none" if privacy.mechanism == "none" else epsilon(privacy.eps)


def _in_words(s: SettingRecord) -> str:
    stress, leak = s.stress.figure, s.attacker.figure
    return (
        f"{s.name}: stress {accuracy(stress)}, chance {percent(stress.chance)}; strongest fresh "
        f"attacker {accuracy(leak)}, chance {percent(leak.chance)}; ε {eps_of(s.privacy)}"
    )


def _setting_row(s: SettingRecord) -> tuple[str, ...]:
    stress, leak = s.stress.figure, s.attacker.figure
    return (
        s.name,
        str(len(s.cells)),
        accuracy(stress) + _spread(s.stress),
        percent(stress.chance),
        accuracy(leak) + _spread(s.attacker),
        percent(leak.chance),
        accuracy(s.own_head.figure),
        "yes" if s.on_front else "no",
    )


def _spread(over: OverSeeds) -> str:
    if over.lowest is None or over.highest is None or over.lowest == over.highest:
        return ""
    return f"; seeds {100 * over.lowest:.1f} to {percent(over.highest)}"


def _privacy_row(name: str, p: PrivacyInShort) -> tuple[str, ...]:
    if p.mechanism == "none":
        return (name, p.status, "no DP", "n/a", "none", "n/a", "none", "none", "n/a")
    return (
        name,
        p.status,
        p.mechanism,
        f"{p.unit} ({p.adjacency})",
        epsilon(p.eps),
        delta(p.delta),
        f"{number(p.z)} x sensitivity",
        "none" if p.claimed_per_round is None else number(p.claimed_per_round),
        "n/a" if p.claimed_per_round is None else epsilon(p.true_total),
    )


def _cell_row(cell: CellRecord) -> tuple[str, ...]:
    f = cell.figures
    if f is None:
        return (cell.name, cell.state, *["n/a"] * (len(CELL_COLUMNS) - 2))
    shares: tuple[Estimate, Estimate] = f.stress, f.attacker
    return (
        cell.name,
        cell.state,
        f.run_id,
        *(f"{accuracy(e)}, chance {percent(e.chance)}" for e in shares),
        attacker(f.strongest_attack),
        eps_of(f.privacy),
    )


def _failure(cell: CellRecord) -> str:
    code, message, do = cell.error or ("", "has not ended", "")
    return f"{cell.name}: {code} {message}" + (f" Do: {do}." if do else "")
