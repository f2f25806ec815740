"""Runs that release few numbers are recomputed, attacked and verified like any other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import tiny

from fedaffect.audit_record import AttackResult
from fedaffect.auditing.suite import audit
from fedaffect.home import state_home
from fedaffect.models.backbone import PublicWeights, load_backbone, save_backbone
from fedaffect.models.stress_identity_cnn import StressIdentityCNN
from fedaffect.simulation import simulate
from fedaffect.verification import verify

QUICK = ("identity", "membership-loss", "one-run", "mechanism")
PRIVATE = {"dp.mechanism": "gaussian", "dp.eps": 2.0, "audit.canaries": 20}


def paper_backbone(path: Path) -> str:
    """Write public weights of the paper's network, as they are drawn."""
    network = StressIdentityCNN(60, 3, ("stress",))
    values = {name: p.detach().numpy() for name, p in network.named_parameters()}
    weights = PublicWeights(values, np.zeros(100), np.eye(100))
    changes = {"name": "paper", "model": "stress_identity_cnn", "options": {}}
    card = load_backbone("synthetic").card.model_copy(update=changes)
    save_backbone(path, card, {"subject": weights})
    return str(path)


def audited(
    folder: Path, changes: dict[str, Any], only: tuple[str, ...] = ()
) -> dict[str, AttackResult]:
    """Run, verify and audit; return the results, after what holds for every formal run."""
    record = simulate(tiny(PRIVATE | changes | {"run.out": folder}))
    assert record.privacy["status"] == "FORMAL"
    found = audit(folder, only=only)
    assert [c.text for c in verify(folder, state_home()) if c.failure or c.skipped] == []
    assert found.gates and all(gate.passed for gate in found.gates)
    for result in found.results:
        assert result.finding if result.status == "done" else result.reason, result.name
        if result.bound is not None and result.bound.lower is not None:
            assert result.bound.claimed == pytest.approx(2.0, abs=1e-6)
            assert result.bound.lower <= result.bound.claimed
    return {result.name: result for result in found.results}


@pytest.mark.parametrize("release", ["head", pytest.param(3, marks=pytest.mark.slow)])
def test_a_frozen_embedding_is_said_to_be_frozen(release: str | int, tmp_path: Path) -> None:
    found = audited(tmp_path / "run", {"model.release": release}, QUICK)
    where = {row.where for row in found["identity"].rows}
    assert {"input", "hidden", "code"} <= where
    baseline = found["identity"].rows[-1]
    assert baseline.name.startswith("public weights (")
    assert baseline.figure.value == found["identity"].figure.value  # nothing was learnt there
    notes = " ".join(found["identity"].notes)
    assert "the shared layers were not trained in this run" in notes
    assert "identity head" not in notes  # there is none
    assert found["mechanism"].bound is not None and found["one-run"].bound is not None


@pytest.mark.slow
def test_an_adapter_trains_the_embedding(tmp_path: Path) -> None:
    changes = {"model.release": "adapter", "federation.rounds": 1, "dp.eps": 2.0}
    found = audited(tmp_path / "run", changes, ("identity", "mechanism"))
    assert "not trained" not in " ".join(found["identity"].notes)


@pytest.mark.slow
@pytest.mark.parametrize("release", ["head", 5])
def test_the_network_of_the_paper(release: str | int, tmp_path: Path) -> None:
    backbone = paper_backbone(tmp_path / "paper.safetensors")
    changes = {"model.release": release, "model.backbone": backbone, "federation.rounds": 2}
    changes |= {"federation.local_epochs": 3}
    found = audited(tmp_path / "run", changes)
    assert {"identity", "linkability", "canary", "mechanism", "one-run"} <= set(found)
    assert found["linkability"].status == "done"
    assert found["identity"].rows[-1].name.startswith("public weights (")


@pytest.mark.slow
def test_random_weights_are_called_untrained(tmp_path: Path) -> None:
    changes = {"model.release": "head", "model.backbone": "none", "federation.rounds": 1}
    found = audited(tmp_path / "run", changes, ("identity", "mechanism"))
    assert found["identity"].rows[-1].name.startswith("untrained net (")
    assert "not trained in this run" in " ".join(found["identity"].notes)
