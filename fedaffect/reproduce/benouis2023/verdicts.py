"""What the paper claims, what was measured, whether they agree, and why."""

from __future__ import annotations

from collections.abc import Callable

from fedaffect.reproduce.benouis2023 import noise_verdicts
from fedaffect.reproduce.benouis2023.cells import CLIENTS
from fedaffect.reproduce.benouis2023.judging import (
    DIFFERENT,
    near,
    step,
    verdict_of,
    where_stress_is_learned,
)
from fedaffect.reproduce.benouis2023.printed import (
    CENTRAL,
    FEDERATED_IDENTITY,
    FEDERATED_STRESS,
    NOT_PRINTED,
)
from fedaffect.reproduce.benouis2023.results import FRESH, OWN, STRESS, Results, said, value
from fedaffect.study_record import Verdict

OTHER_DATA = "other data, features and training: a lower figure refutes nothing by itself"
Maker = Callable[[Results], Verdict | None]


def verdicts(results: Results) -> tuple[Verdict, ...]:
    """Return a verdict on every claim that the study has cells for."""
    makers: tuple[Maker, ...] = (
        _central, _federated, _multitask, _clients, _heterogeneity, _optimizer,
    )  # fmt: skip
    own = [made for make in makers if (made := make(results)) is not None]
    return (*own, *noise_verdicts.verdicts(results))


def _central(results: Results) -> Verdict | None:
    f = results.figures("central")
    if f is None:
        return None
    return Verdict(
        claim="Central training recognises stress and identity",
        source=CENTRAL.place,
        paper="99 % for both",
        ours=said(f, STRESS, OWN),
        agrees=verdict_of([near(f.stress_accuracy, 0.99), near(f.identity_own_head, 0.99)]),
        why=f"{OTHER_DATA}; random windows overlap across the split, which flatters both",
    )


def _federated(results: Results) -> Verdict | None:
    f = results.figures(results.baseline)
    if f is None:
        return None
    hits = [
        near(f.stress_accuracy, FEDERATED_STRESS.value),
        near(f.identity_own_head, FEDERATED_IDENTITY.value),
    ]
    return Verdict(
        claim="Federated multitask training recognises stress and identity",
        source=FEDERATED_STRESS.place,
        paper="97 % and 93 %",
        ours=said(f),
        agrees=verdict_of(hits),
        why=OTHER_DATA,
    )


def _multitask(results: Results) -> Verdict | None:
    both, alone = results.figures(results.baseline), results.figures("stress-only")
    if both is None or alone is None:
        return None
    change = step(value(alone, STRESS), value(both, STRESS))
    fresh = step(value(alone, FRESH), value(both, FRESH))
    verdict = Verdict(
        claim="Learning identity beside stress improves stress recognition",
        source="I, last paragraph; IV.C, last paragraph",
        paper=NOT_PRINTED,
        ours=f"both tasks: {said(both)}. Stress alone: {said(alone, STRESS, FRESH)}",
        agrees="yes" if change > 0 else "no",
        why="learning identity "
        + ("makes people easier to find" if fresh > 0 else "leaves people as easy to find")
        + " from the shared features",
    )
    return where_stress_is_learned(alone, verdict)


def _clients(results: Results) -> Verdict | None:
    few, many = (results.figures(f"clients-{k}") for k in (CLIENTS[0], CLIENTS[-1]))
    if few is None or many is None:
        return None
    steps = [step(value(few, what), value(many, what)) for what in (STRESS, OWN)]
    return Verdict(
        claim="More clients perform better",
        source="IV.B, second paragraph, Figure 3",
        paper=NOT_PRINTED,
        ours=f"K = {CLIENTS[0]}: {said(few, STRESS, OWN)}. K = {CLIENTS[-1]}: "
        f"{said(many, STRESS, OWN)}",
        agrees=verdict_of([change > 0 for change in steps]),
        why="with |D_i| fixed, more clients are more data: the number of clients alone is not "
        "what is varied",
    )


def _heterogeneity(results: Results) -> Verdict | None:
    iid, whole = results.figures(results.baseline), results.figures("subject")
    if iid is None or whole is None:
        return None
    fresh = step(value(iid, FRESH), value(whole, FRESH))
    return Verdict(
        claim="Non-IID clients perform dramatically worse",
        source="IV.B, second paragraph, Figure 3",
        paper=NOT_PRINTED,
        ours=f"IID: {said(iid)}. Whole people: {said(whole)}",
        agrees=verdict_of(
            [step(value(whole, what), value(iid, what)) > 0 for what in (STRESS, OWN)]
        ),
        why="with one person a client the own head cannot learn who is who, while a fresh attacker "
        + ("finds people as before" if fresh >= 0 else "finds fewer people, too"),
    )


def _optimizer(results: Results) -> Verdict | None:
    f = results.figures("printed-federated")
    if f is None and results.options.as_printed:
        f = results.figures(results.baseline)
    if f is None:
        return None
    stress = f.stress_accuracy
    stuck = stress.value is not None and abs(stress.value - (stress.chance or 0)) < DIFFERENT
    return Verdict(
        claim="Plain SGD at rate 0.0005 with one local epoch trains the network",
        source="IV, second paragraph; IV.B",
        paper="97 % and 93 %",
        ours=said(f, STRESS, OWN),
        agrees="no" if stuck else "partly",
        why="stress stays at the majority class, identity near chance: the rate is too small for "
        "this many steps" if stuck else "it moves, and less than the setting that was chosen",
    )  # fmt: skip
