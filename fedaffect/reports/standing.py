"""What every section of a report must say of the run as a whole: marks that nobody may miss."""

from __future__ import annotations

from fedaffect.record import RunRecord


def marks(record: RunRecord) -> tuple[str, ...]:
    """Return the marks of every section: synthetic, interrupted, seeded noise, canaries."""
    found = []
    if record.data.synthetic:
        found.append("Synthetic people")
    if where := interrupted(record):
        found.append(where)
    if record.privacy.get("noise_key_kind") == "unsafe-test":
        found.append("Seeded noise: no guarantee")
    if canaries := _count(record.provenance.config.get("audit"), "canaries"):
        found.append(f"With {canaries} canary clients")
    return tuple(found)


def interrupted(record: RunRecord) -> str:
    """Say where a run ended before its planned last round; empty for a whole run."""
    planned = _count(record.provenance.config.get("federation"), "rounds")
    folds = record.data.split.folds
    last = max(((r.fold, r.round) for r in record.rounds), default=(0, 0))
    fewer = bool(planned) and len(record.rounds) < planned * folds
    if not record.privacy.get("stopped") and not fewer:
        return ""
    of = f" of {planned}" if planned else ""
    fold = f", fold {last[0] + 1} of {folds}" if folds > 1 else ""
    return f"Interrupted at round {last[1]}{of}{fold}"


def _count(section: object, name: str) -> int:
    value = section.get(name) if isinstance(section, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
