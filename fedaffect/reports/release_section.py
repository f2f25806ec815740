"""What of a network was trained on private people, and the card of the public weights below it."""

from __future__ import annotations

from fedaffect.record import BackboneSummary, PublicPeople, RunRecord
from fedaffect.reports.formats import count, delta, number, plural
from fedaffect.reports.tables import Facts

PUBLIC_COLUMNS = ("Public data", "People", "Windows", "Licence", "Citation")
_PLANS = {
    "full": "the whole network",
    "adapter": "the heads and the constants of the shared layers",
    "head": "the heads",
}


def release_sentence(record: RunRecord) -> str:
    """Say what was trained on private people; empty for records that do not know."""
    release = record.release
    if release is None:
        return ""
    what = _PLANS.get(
        release.plan, f"a correction of the primary head by at most {release.plan} numbers"
    )
    return (
        f"Trained on the clients' people and released: {what}; "
        f"{count(release.released)} of {plural(release.total, 'number')}."
    )


def backbone_sentence(record: RunRecord) -> str:
    """Say whose data made the weights below, and that nothing protects them; else empty."""
    backbone = _backbone(record)
    if backbone is None:
        return ""
    whose = " and ".join(map(_people, backbone.public_data))
    return (
        f"Everything else is public and frozen, or starts from public weights, made of {whose}. "
        "These people are not protected: what the model tells about them has no bound."
    )


def backbone_facts(record: RunRecord) -> Facts:
    """Return the card of the public weights; empty without any."""
    backbone = _backbone(record)
    if backbone is None:
        return []
    terms = ", ".join(f"{name} {number(weight)}" for name, weight in backbone.objective.items())
    return [
        ("Name", backbone.name),
        ("About", backbone.about),
        ("SHA-256", backbone.sha256),
        ("Trained for (weight of each term)", terms or "not stated"),
    ]


def public_rows(record: RunRecord) -> list[tuple[str, ...]]:
    """Return one row a public data set."""
    backbone = _backbone(record)
    return [
        (
            data.title + (" (simulated people)" if data.synthetic else ""),
            count(data.people),
            count(data.windows),
            data.licence or "not stated",
            data.citation or "not stated",
        )
        for data in (backbone.public_data if backbone else ())
    ]


def people_needed_caption(record: RunRecord) -> str:
    """Write what every number of clients refers to."""
    privacy = record.privacy
    placed = "by every client" if privacy.get("where") == "client" else "by the server"
    return (
        "Clients at which the noise on the average is as long as the whole clipped signal, by what "
        f"is released: total ε at δ = {delta(privacy.get('delta'))}, per client, adjacency "
        "zero_out, observer external, horizon run, "
        f"{plural(privacy.get('releases_planned') or 0, 'release')}, Gaussian noise added "
        f"{placed}, everybody in every round, closed form"
    )


def _backbone(record: RunRecord) -> BackboneSummary | None:
    return record.release.backbone if record.release else None


def _people(data: PublicPeople) -> str:
    if data.synthetic:
        return plural(data.people, "simulated person", "simulated people")
    return f"{plural(data.people, 'person', 'people')} of {data.title}"
