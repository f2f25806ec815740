"""``audit(folder) -> AuditRecord``: attack what a finished run released, and write it down."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from fedaffect import registry, require, summary
from fedaffect.atomic_file import write_json_atomic
from fedaffect.audit_record import AttackResult, AuditRecord
from fedaffect.auditing.evidence import evidence_of
from fedaffect.auditing.fail_if import parse
from fedaffect.auditing.finished import checked_record, finished_run
from fedaffect.auditing.gates import asked_gate, bound_gates, bound_warnings
from fedaffect.auditing.selection import Selection, selection
from fedaffect.build import Experiment
from fedaffect.one_thread import one_thread
from fedaffect.privacy.attacks.evidence import Attack, Evidence
from fedaffect.progress import Listener
from fedaffect.reports.json_file import AUDIT_NAME, write_report
from fedaffect.run_folder import renew_in_manifest
from fedaffect.run_lock import RunLock
from fedaffect.version import __version__

CONFIDENTIAL = (
    "W141 The figures of an audit are measured on people's own data, with uploads that were never "
    "published; no guarantee covers them. Keep them to yourself."
)
HEADLINES = (("identity", "identity-adaptive"), ("verification",), ("linkability",))


def audit(
    run: Path | str,
    *,
    full: bool = False,
    only: Sequence[str] = (),
    fail_if: str | None = None,
    seed: int | None = None,
    listener: Listener | None = None,
) -> AuditRecord:
    """Attack a finished run and write ``audit.json`` and the report anew.

    Args:
        run: The folder that ``fedaffect simulate`` wrote.
        full: Also run the attacks that train shadow models and take minutes to hours.
        only: Names of attacks (``fedaffect list audit``); empty for the default suite.
        fail_if: Condition on the results that fails the audit, such as ``identity.ci_low>0.3``.
        seed: Seed of everything that the attacks draw; the run's own where it is missing.
        listener: Hears about progress.

    Returns:
        The record; ``record.gates`` tells what failed.

    Raises:
        FedaffectError: E203 the seed is out of range; E210, E260 an attack or a condition is not
            known; E4xx, E8xx the folder is not a finished run, or not as it was written; E370 the
            data changed.
    """
    if seed is not None:
        require.integer("--seed", seed, at_least=0, at_most=2**63 - 1)
    folder, heard = Path(run), listener or Listener()
    started, clock = datetime.now(UTC), time.perf_counter()
    heard.stage(f"checking the files of {folder}")
    ran = checked_record(folder)
    chosen = selection(only, full, str(ran.privacy["mechanism"]).startswith("paper-"))
    condition = parse(fail_if, chosen.names) if fail_if is not None else None
    with RunLock(folder):
        finished = finished_run(folder, ran, heard.stage)
        evidence = evidence_of(
            finished,
            heard.stage,
            seed=ran.provenance.seed if seed is None else seed,
            gate_confidence=chosen.gate_confidence,
            with_reference=chosen.trains,
            with_uploads=chosen.trains,
        )
        results = _attacked(evidence, chosen, heard)
        gates = bound_gates(results)
        if condition is not None and fail_if is not None:
            gates += (asked_gate(fail_if, condition, results),)
        record = AuditRecord(
            run_id=finished.run_id,
            version=__version__,
            started=started.isoformat(timespec="seconds"),
            seconds=time.perf_counter() - clock,
            seed=evidence.seed,
            full=full,
            only=tuple(only),
            results=results,
            gates=gates,
            headline=_headline(results),
            notes=bound_warnings(results) + confidential(finished.experiment),
            environment=summary.environment(),
        )
        heard.stage("writing the report")
        write_json_atomic(folder / AUDIT_NAME, record.model_dump(mode="json"))
        renew_in_manifest(folder, AUDIT_NAME)
        write_report(folder, ran)
    return record


def _attacked(evidence: Evidence, chosen: Selection, heard: Listener) -> tuple[AttackResult, ...]:
    """Run the attacks on one thread: sums then have one order, whatever the machine."""
    results = []
    with one_thread():
        for number, name in enumerate(chosen.names, 1):
            heard.stage(f"{name} ({number} of {len(chosen.names)})")
            attack: Attack = registry.resolve("audit", name)()
            clock = time.perf_counter()
            result = attack.run(evidence)
            results.append(result.model_copy(update={"seconds": time.perf_counter() - clock}))
    return tuple(results)


def confidential(experiment: Experiment) -> tuple[str, ...]:
    """Return what whoever reads the audit of real people under DP must know."""
    real = not experiment.table.synthetic
    return (CONFIDENTIAL,) if real and experiment.mechanism.groups else ()


def _headline(results: Sequence[AttackResult]) -> str:
    """Return the name of the strongest attack on identity that has a figure."""
    known = {r.name: r.figure.value for r in results if r.figure.value is not None}
    for names in HEADLINES:
        if found := {name: known[name] for name in names if name in known}:
            return max(found, key=lambda name: found[name])
    return ""
