"""What the figures show, in one sentence each: the titles of a report."""

from __future__ import annotations

from fedaffect.record import Estimate, PartitionSummary, RunRecord
from fedaffect.reports.formats import attacker, percent, plural
from fedaffect.reports.svg import label


def above_chance(estimate: Estimate) -> bool | None:
    """Return whether the whole interval lies above chance; ``None`` if that cannot be said."""
    if estimate.low is None or estimate.chance is None:
        return None
    return estimate.low > estimate.chance


def trade_off(record: RunRecord) -> str:
    """State stress and the strongest attacker of this run together."""
    stress = record.figures.stress_balanced_accuracy
    attack = record.figures.identity_strongest
    return (
        f"Stress at {percent(stress.value)} (chance {percent(stress.chance)}), while the strongest "
        f"attacker names the right person for {percent(attack.value)} of windows "
        f"(chance {percent(attack.chance)})"
    )


def attacks(record: RunRecord) -> str:
    """State what the strongest fresh attacker reaches, in multiples of chance."""
    best = record.figures.identity_strongest
    if best.value is None:
        return "No attacker could be measured"
    who = attacker(record.figures.strongest_attack)
    if above_chance(best) is False:
        return (
            f"No attacker is clearly above chance: the best ({who}) reaches {percent(best.value)}, "
            f"chance {percent(best.chance)}"
        )
    times = f", {best.value / best.chance:.1f} times" if best.chance else ""
    chance = f" chance ({percent(best.chance)})" if best.chance else ""
    return (
        f"A fresh attacker ({who}) identifies {percent(best.value)} of test windows{times}{chance}"
    )


def learning(record: RunRecord) -> str:
    """State where stress and loss went over the rounds."""
    n_rounds = len({r.round for r in record.rounds})
    chance = record.figures.stress_balanced_accuracy.chance
    first = min(r.round for r in record.rounds)
    last = max(r.round for r in record.rounds)
    start = [r.stress_balanced_accuracy for r in record.rounds if r.round == first]
    end = [r.stress_balanced_accuracy for r in record.rounds if r.round == last]
    a = _mean([v for v in start if v is not None])
    b = _mean([v for v in end if v is not None])
    if a is None or b is None:
        return f"The run over {plural(n_rounds, 'round')}"
    if abs(b - a) < 0.02:
        how = f"stays near {percent(b)}"
    else:
        how = f"{'rises' if b > a else 'falls'} from {percent(a)} to {percent(b)}"
    over = f"over {plural(n_rounds, 'round')} (chance {percent(chance)})"
    return f"Balanced accuracy of stress {how} {over}"


def partition(summary: PartitionSummary) -> str:
    """State how people and clients relate."""
    if summary.subjects_per_client_max == 1 and summary.clients_per_subject_max == 1:
        return f"One person per client: {plural(len(summary.clients), 'client')}"
    if summary.clients_per_subject_max == 1:
        most = plural(summary.subjects_per_client_max, "person", "people")
        return f"Every person is with one client; a client holds up to {most}"
    many = plural(summary.clients_per_subject_max, "client")
    return (
        f"A person's windows lie with up to {many}; "
        f"a client holds up to {plural(summary.subjects_per_client_max, 'person', 'people')}"
    )


def people(record: RunRecord) -> str:
    """State the range over people."""
    known = sorted(
        (p.stress_balanced_accuracy, label(p.person))
        for p in record.figures.per_person
        if p.stress_balanced_accuracy is not None
    )
    if not known:
        return "No tested person has windows of both classes"
    (low, worst), (high, best) = known[0], known[-1]
    chance = f"chance {percent(record.figures.stress_balanced_accuracy.chance)}"
    if len(known) == 1:
        return f"One person could be tested, {worst}: {percent(low)}, {chance}"
    if high - low < 0.005:
        return f"Stress is read alike for all {len(known)} people: {percent(low)}, {chance}"
    return (
        f"Stress is read best for {best} ({percent(high)}) and worst for {worst} ({percent(low)}), "
        f"{chance}"
    )


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
