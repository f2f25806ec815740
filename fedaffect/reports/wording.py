"""The sentences of a report. They claim what was measured and name what was not."""

from __future__ import annotations

from fedaffect.audit_record import AuditRecord
from fedaffect.record import Figures, RunRecord
from fedaffect.reports import guarantee
from fedaffect.reports.findings import above_chance
from fedaffect.reports.formats import accuracy, attacker, count, percent, plural, with_chance

NORMALISATION = {
    "public": "Features are scaled by public constants. Nothing was computed from these people, "
    "so scaling releases nothing.",
    "global": "Features are scaled by mean and spread over all training people. These statistics "
    "left the clients in the clear: no guarantee covers them.",
    "subject": "Features are scaled with each person's own mean and spread, an unseen person's "
    "from that person's unlabelled windows (a calibrated protocol).",
    "none": "Features are not scaled: levels and units, which differ between people, stay in.",
}
WHY_NORMALISATION = (
    "The choice matters: it decides how much of a person's own level reaches the model, and with "
    "it both what stress can be read and who can be recognised."
)
OWN_HEAD_NEAR_CHANCE = (
    "With one person per client the model's own identity head stays near chance by construction: "
    "each client trains it on a single name, and the average of such heads names nobody. That is "
    "not privacy. Read the fresh attacker instead"
)
OVERLAP = (
    "Windows overlap across the split: test windows share seconds of signal with training windows. "
    "Every figure below is inflated and says little about new people or new days."
)

GLOSSARY = (
    ("Adjacency", "Which two data sets the guarantee compares; zero_out: what one unit adds is "
     "replaced by zeros; replace_one: by what any other unit might add."),
    ("AUC", "Chance that an attacker scores a random member above a random non-member; guessing "
     "gives 50 %."),
    ("Audit", "Attacks on what a run released, each with what it could have found."),
    ("Balanced accuracy", "Mean of the accuracies on stress and on no stress; guessing gives "
     "50 %."),
    ("Block", "A named part of the model, such as the shared layers or one task's head."),
    ("Break-even", "The number of clients per round at which noise and signal are equally long."),
    ("Chance", "What guessing reaches: always naming the same answer, or one of the people."),
    ("Client", "One member of the federation; its update is clipped, and it is what client-level "
     "privacy protects."),
    ("Clip norm", "The largest length an update may have before noise is added."),
    ("δ (delta)", "The small probability mass for which the bound by ε need not hold."),
    ("ε (epsilon)", "A bound on how much one unit can change what is released; smaller is "
     "stronger."),
    ("EER", "Equal error rate: refusing the right person as often as accepting a wrong one; "
     "guessing gives 50 %, lower is more of a leak."),
    ("Fresh attacker", "A classifier trained after the run to name people from the model's "
     "embedding of their windows."),
    ("Horizon", "Which releases the guarantee counts together: one round, or the whole run."),
    ("Interval", "95 % bootstrap interval over people, not over windows; with few people it is "
     "wide."),
    ("Lower bound on ε", "What an audit proves the true ε to be at least, at its confidence."),
    ("Macro F1", "Mean over both classes of the harmonic mean of precision and recall."),
    ("Noise multiplier", "Noise standard deviation divided by the sensitivity of the sum."),
    ("Observer", "Who looks: the server, the taking-part clients, or someone outside."),
    ("Own head", "The identity classifier that was trained inside the model; its accuracy is not "
     "a privacy metric."),
    ("Partition", "How windows were dealt out to clients."),
    ("Top-1", "Share of test windows for which the attacker's first guess is the right person."),
    ("TPR at FPR", "Members found, where so many non-members are called members by mistake."),
    ("Unit", "What the guarantee protects as a whole: a client with all its windows, or one "
     "training window, which is not a person."),
)  # fmt: skip


SYNTHETIC = (
    "SYNTHETIC people",
    "The people and signals are invented by a generator. The figures show how the method behaves; "
    "they say nothing about real people.",
)
SIMULATED = (
    "SIMULATED federation, real recordings",
    "The recordings are of real people; the federation was simulated on one installation, so "
    "networks, hardware and human operators are not tested.",
)


def banner(record: RunRecord) -> tuple[str, str]:
    """Return the headline and the sentence of the banner."""
    return SYNTHETIC if record.data.synthetic else SIMULATED


def tested_on(record: RunRecord) -> str:
    """Say in a few words whose windows stress was tested on."""
    split = record.data.split
    if split.leaks_overlap:
        return "random windows that overlap training windows"
    if split.people_unseen:
        return "held-out people"
    return "held-out time blocks of people seen in training"


def identity_tested_on(record: RunRecord) -> str:
    """Say in a few words which windows identity was tested on."""
    if record.data.split.leaks_overlap:
        return "random windows that overlap training windows"
    return "later time blocks of people seen in training"


def claim(record: RunRecord) -> str:
    """Return the sentence of the privacy statement, or a plain one where it is missing."""
    text = guarantee.text_of(record.privacy.get("sentence"), "")
    return text or "This record carries no privacy sentence: assume that nothing is guaranteed."


def verdict(record: RunRecord) -> str:
    """Sum up the run in one sentence."""
    stress = record.figures.stress_balanced_accuracy
    attack = record.figures.identity_strongest
    learned = {
        True: "The model reads stress above chance",
        False: "The model does not clearly read stress above chance",
        None: "Whether the model reads stress above chance cannot be said",
    }[above_chance(stress)]
    leaked = {
        True: "a fresh attacker still recognises people",
        False: "no attacker tried here clearly recognises people",
        None: "how well people are recognised cannot be said",
    }[above_chance(attack)]
    joint = {
        (True, True): "but",
        (False, False): "and",
        (True, False): "and",
        (False, True): "and",
    }.get((bool(above_chance(stress)), bool(above_chance(attack))), "and")
    return f"{learned}, {joint} {leaked}."


def do_not_conclude(record: RunRecord) -> tuple[str, str, str]:
    """Return the three conclusions that a reader of the headline figures must not draw."""
    figures = record.figures
    own, best = figures.identity_own_head, figures.identity_strongest
    people = record.data.people
    first = (
        f"that the own head's {with_chance(own)} is privacy: noise or averaging can break that "
        f"head without hiding anyone. The strongest fresh attacker reaches {with_chance(best)}."
        if own.value is not None
        else "that people are hidden because no identity head was handed out: an attacker trains "
        f"one afresh. The strongest reaches {with_chance(best)}."
    )
    second = (
        f"that nobody can do better: this attack identified {with_chance(best)}; "
        "stronger attacks may exist. A weak attack is not evidence of privacy, and differential "
        "privacy in training does not hide a person's signals at test time."
    )
    if record.data.synthetic:
        third = (
            f"anything about real people, health or devices: all {count(people)} people are "
            "synthetic."
        )
    else:
        third = (
            f"that this carries over to others: {plural(people, 'person', 'people')}, one "
            "protocol, one kind of device, and intervals that are wide because people are few."
        )
    return first, second, third


def iid_sentence(record: RunRecord) -> str:
    """Explain the own head under partition ``subject``, with the IID reference where it exists."""
    text = OWN_HEAD_NEAR_CHANCE
    text += f" ({with_chance(record.figures.identity_strongest)})."
    if record.iid_reference:
        own = with_chance(record.iid_reference.identity_own_head)
        best = with_chance(record.iid_reference.identity_strongest)
        text += (
            f" With the same people dealt out IID and no DP, the own head reaches {own}, the "
            f"strongest fresh attacker {best}."
        )
    return text


def utility_rows(record: RunRecord) -> list[tuple[str, ...]]:
    """Return the rows of the utility table: metric, this run, no DP, IID reference, chance."""
    names = (
        ("Balanced accuracy", "stress_balanced_accuracy"),
        ("Accuracy", "stress_accuracy"),
        ("Macro F1", "stress_macro_f1"),
    )
    return [
        (
            name,
            accuracy(getattr(record.figures, key)),
            *(accuracy(getattr(other, key)) for other in references(record).values()),
            percent(getattr(record.figures, key).chance),
        )
        for name, key in names
    ]


def attack_rows(record: RunRecord) -> list[tuple[bool, tuple[str, ...]]]:
    """Return (strongest?, name, what it sees, this run, references..., chance), best first."""
    figures = record.figures
    others = references(record).values()
    ranked = sorted(figures.identity_attacks.items(), key=lambda item: -(item[1].value or 0))
    rows = [
        (
            name == figures.strongest_attack,
            (
                f"fresh {attacker(name)}"
                + (" (strongest)" if name == figures.strongest_attack else ""),
                "released embedding",
                accuracy(estimate),
                *(accuracy(other.identity_attacks.get(name)) for other in others),
                percent(estimate.chance),
            ),
        )
        for name, estimate in ranked
    ]
    for text, sees, key in (
        ("Raw features", "the features, no model", "raw_features_attack"),
        ("Own head (not a privacy metric)", "the model's own output", "identity_own_head"),
    ):
        estimate = getattr(figures, key)
        before = (accuracy(getattr(other, key)) for other in others)
        row = (text, sees, accuracy(estimate), *before, percent(estimate.chance))
        rows.append((False, row))
    return rows


def references(record: RunRecord) -> dict[str, Figures]:
    """Return the runs to compare with, by their name in a table header."""
    named = {
        "Public weights only": record.public_only,
        "Without DP": record.no_dp,
        "IID reference, no DP": record.iid_reference,
    }
    return {name: figures for name, figures in named.items() if figures is not None}


def warnings(record: RunRecord) -> list[str]:
    """Return the run's warnings, without those that stand in another section already."""
    said = (*record.forecast.sentences, *guarantee.lines(record.privacy.get("warnings")))
    return [w for w in record.warnings if not any(s and s in w for s in said)]


def limits(record: RunRecord, audit: AuditRecord | None = None) -> list[str]:
    """Return what this report cannot tell, before the statement's own list."""
    n_stress = record.figures.stress_balanced_accuracy.n_people
    n_identity = record.figures.identity_strongest.n_people
    lines = [
        f"Intervals are over {plural(n_stress, 'person', 'people')} (stress) and "
        f"{plural(n_identity, 'person', 'people')} (identity); they do not contain the spread over "
        "seeds. This is one seed.",
        "Identity is closed-set: every tested person is among the candidates. Each person's "
        "recording carries its own artefacts, so part of what is recognised may be the recording.",
        "Only attacks on the released embedding are reported here: no membership inference, no "
        "gradient inversion, no attribute inference."
        if audit is None
        else "Attacks show what was found, never that there is nothing to find: an attack that was "
        "not run, or whose smallest effect is large, says nothing.",
        "Choosing rounds, clip norm, layers or learning rate by looking at results leaks; such "
        "tuning is not accounted.",
    ]
    if record.data.synthetic:
        lines.insert(0, "All people are synthetic. Nothing here is evidence about real people.")
    if min(n_stress, n_identity) < 10:
        lines.append(
            "With fewer than ten people a bootstrap interval is itself uncertain, and often too "
            "narrow."
        )
    lost = [r for r in record.rounds if r.abandoned]
    if lost:
        lines.append(f"{plural(len(lost), 'round')} had too few replies: nothing was released.")
    short = [r for r in record.rounds if (r.clients or 0) < (r.clients_planned or 0)]
    if short:
        lines.append(f"{plural(len(short), 'round')} ended with fewer clients than planned.")
    return lines
