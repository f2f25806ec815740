"""Plan, progress and result of a sweep as lines of text, at most 80 columns where it can be."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fedaffect.record import Estimate
    from fedaffect.sweep_record import CellRecord, SettingRecord, SweepRecord
    from fedaffect.sweeping.forecasts import CellForecast

NAME = 23  # columns of a name


def forecast_lines(forecasts: Sequence[CellForecast], jobs: int) -> list[str]:
    """Return the plan of every cell: budget, noise, and whether it can learn."""
    lines = [
        f"  {len(forecasts)} cells, {jobs} at a time; nothing is trained",
        "",
        f" {'cell':40} {'eps':>9} {'noise':>8} {'/signal':>8} learns",
    ]
    for f in forecasts:
        learns = "?" if f.can_learn is None else "yes" if f.can_learn else "NO"
        name = f.name if len(f.name) <= 40 else f.name[:39] + "…"
        noise, ratio = _number(f.noise_multiplier), _number(f.noise_to_signal)
        lines.append(f" {name:40} {f.eps:>9} {noise:>8} {ratio:>8} {learns:>6}")
    return [
        *lines,
        "",
        "  eps       total over the run, for one unit; none: no DP; no: no finite one;",
        "            later: sized once windows are counted",
        "  noise     its standard deviation / sensitivity",
        "  /signal   length of the noise / length of the signal",
    ]


def cell_line(cell: CellRecord, done: int, total: int) -> str:
    """Return one line on a cell that has ended."""
    head = f" {done:{len(str(total))}}/{total}  {cell.name:36}"
    if cell.figures is None:
        code, message, _ = cell.error or ("", "", "")
        return f"{head} {cell.state}: {code} {message}"
    f = cell.figures
    tail = f"  {f.seconds:.0f} s" if cell.state == "finished" else f"  {cell.state}"
    return f"{head} stress {_share(f.stress.value)}  attacker {_share(f.attacker.value)}{tail}"


def result_lines(record: SweepRecord, folder: str) -> list[str]:
    """Return the trade-off: one line a setting, what was spent, what went wrong."""
    synthetic = any(cell.figures and cell.figures.synthetic for cell in record.cells)
    seeds = max((len(s.cells) for s in record.settings), default=0)
    lines = [
        "",
        f"Sweep    {'SYNTHETIC PEOPLE   ' if synthetic else ''}{len(record.settings)} settings, "
        f"up to {seeds} seed(s) each, in %",
        "         mean over seeds, 95 % intervals over people; * on the Pareto front",
        "",
        f"  {'':{NAME}} {'stress':16} {'attacker':16} {'head':>4} {'eps':>8} {'noise':>6}",
    ]
    chances = {(s.stress.figure.chance, s.attacker.figure.chance) for s in record.settings}
    for s in record.settings:
        lines += _setting_lines(s)
        if len(chances) > 1:
            lines.append(_chance_line(s))
    if len(chances) == 1:
        lines.append(_chance_line(record.settings[0]))
    area = "n/a" if record.hypervolume is None else f"{record.hypervolume:.3f}"
    lines += [
        "",
        f"  {record.finding.replace(chr(160), ' ')}",
        f"  hypervolume {area} (up to stress at chance, attacker at 100 %)",
        "",
        *(f"! spent    {line}" for line in record.spent),
        *(f"! note     {line}" for line in record.notes),
    ]
    lines += [f"! {_ended_early(cell)}" for cell in record.cells if cell.error is not None]
    return [*lines, "", f"Files    {folder}   report: {folder}/sweep.html"]


def _setting_lines(s: SettingRecord) -> list[str]:
    """Return the line of a setting; a long name gets one of its own."""
    mark = "*" if s.on_front else " "
    above = [f"{mark} {s.name}"] if len(s.name) > NAME else []
    begin = f"{' ' if above else mark} {'' if above else s.name:{NAME}}"
    p = s.privacy
    eps = "none" if p.mechanism == "none" else "no" if p.eps is None else _eps(p.eps)
    head = _share(s.own_head.figure.value, "")
    return [
        *above,
        f"{begin} {_interval(s.stress.figure):16} {_interval(s.attacker.figure):16} "
        f"{head:>4} {eps:>8} {_number(p.z):>6}",
    ]


def _chance_line(s: SettingRecord) -> str:
    stress, attacker = s.stress.figure.chance, s.attacker.figure.chance
    return f"  {'  chance':{NAME}} {_share(stress, ''):16} {_share(attacker, '')}"


def _ended_early(cell: CellRecord) -> str:
    code, message, do = cell.error or ("", "", "")
    return f"{code}     cell {cell.name}: {message}" + (f"  do: {do}" if do else "")


def _eps(eps: float) -> str:
    from fedaffect.privacy.wording import eps_text

    return eps_text(eps)


def _interval(e: Estimate) -> str:
    if e.value is None:
        return (e.note or "n/a")[:16]
    if e.low is None or e.high is None:
        return _share(e.value, "")
    return f"{_share(e.value, '')} [{100 * e.low:.0f}, {100 * e.high:.0f}]"


def _share(value: float | None, unit: str = " %") -> str:
    return "n/a" if value is None else f"{100 * value:.1f}{unit}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
