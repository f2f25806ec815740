"""Evidence says of a run what its folder, its data and its network say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from audited_runs import ROUNDS, Ran
from tiny import tiny

from fedaffect import references
from fedaffect.auditing.evidence import evidence_of, windows_of
from fedaffect.auditing.network import CHUNK, FactoryNetwork
from fedaffect.auditing.suite import confidential
from fedaffect.build import build
from fedaffect.home import state_home
from fedaffect.params import read_flat
from fedaffect.privacy.attacks.evidence import Evidence

RunOf = Callable[[str], Ran]


def evidence(run: Ran, **options: Any) -> tuple[Evidence, list[str]]:
    """Return evidence without uploads, and what was said meanwhile."""
    said: list[str] = []
    return evidence_of(run.finished(), said.append, seed=3, with_uploads=False, **options), said


def test_claims_are_those_of_the_statement(run_of: RunOf) -> None:
    found, _ = evidence(run_of("client"), with_reference=False)
    statement = run_of("client").finished().statement
    assert [(c.observer, c.eps, c.delta) for c in found.claims] == [
        (line["observer"], line["eps"], line["delta"]) for line in statement["observers"]
    ]
    assert {(c.status, c.unit, c.adjacency) for c in found.claims} == {
        ("FORMAL", "client", "zero_out")
    }
    assert found.claims[0].eps == pytest.approx(50, rel=1e-6)
    assert (found.plan.releases, found.rounds, found.seed) == (ROUNDS, ROUNDS, 3)
    assert found.paper_claim == {}
    assert found.canaries is None
    assert found.own_head_released


def test_the_reference_is_kept_or_trained(run_of: RunOf) -> None:
    plain = run_of("none").finished()
    assert evidence(run_of("none"))[0].reference is None
    config = run_of("server").finished().experiment.config
    key = references.key_of(references.without_dp(config), plain.experiment.table.fingerprint)
    kept = state_home() / "cache" / "references" / f"{key[:32]}.safetensors"
    kept.unlink(missing_ok=True)
    trained, said = evidence(run_of("server"))
    assert f"training the reference without DP, {ROUNDS} rounds" in said
    assert trained.reference is not None
    assert np.array_equal(trained.reference, plain.params)
    again, said = evidence(run_of("server"))
    assert said == []
    assert again.reference is not None
    assert np.array_equal(again.reference, plain.params)


def test_windows_know_whose_they_are(run_of: RunOf) -> None:
    e = run_of("none").finished().experiment
    w, fold = windows_of(e), e.folds[0]
    assert not (w.train & w.unseen).any()
    assert not (w.train & w.identity_test).any()
    assert not (w.enrol & w.identity_test).any()
    assert np.array_equal(w.client >= 0, w.train)
    for client, rows in enumerate(fold.partition.clients):
        assert np.array_equal(np.flatnonzero(w.client == client), rows)
    assert np.array_equal(w.unseen, w.identity == -1)
    assert w.people_drawn_at_random
    assert len(np.unique(w.subject[w.unseen])) == 1
    assert (w.synthetic, w.leaks_overlap, w.people) == (True, False, e.table.subjects)


@pytest.mark.parametrize("spec", ["blocks", "loso", "random"])
def test_who_is_unseen_was_not_drawn(spec: str) -> None:
    config = tiny({"data.eval": spec, "synthetic.people": 3, "federation.clients": 2})
    windows = windows_of(build(config))
    assert not windows.people_drawn_at_random
    assert windows.leaks_overlap is (spec == "random")
    assert windows.unseen.any() == (spec == "loso")


def test_the_network_is_the_model_however_many_windows(run_of: RunOf) -> None:
    run = run_of("none").finished()
    e = run.experiment
    features = np.tile(e.folds[0].features, (8, 1))[: CHUNK + 7]
    assert len(features) == CHUNK + 7
    model = e.factory.with_params(run.params)
    with torch.no_grad():
        layers = model.layers({"features": torch.from_numpy(features).double()})
    network = FactoryNetwork(e.factory)
    found = network.layers(run.params, features)
    assert list(found) == list(layers)
    for name, h in layers.items():
        np.testing.assert_allclose(found[name], h.numpy(), rtol=1e-12, atol=1e-12)
    said = network.probabilities(run.params, features, "identity")
    logits = layers["task:identity"].numpy()
    expected = np.exp(logits - logits.max(1, keepdims=True))
    np.testing.assert_allclose(said, expected / expected.sum(1, keepdims=True), rtol=1e-10)


def test_objective_and_local_training_explain_an_update(run_of: RunOf) -> None:
    found, _ = evidence(run_of("none"))
    rows, local = np.flatnonzero(found.windows.client == 0)[:10], found.local
    assert len(rows) <= local.batch_size
    assert (local.local_epochs, local.optimizer) == (1, "sgd")
    model = found.factory.with_params(found.initial).train()
    batch = {
        "features": torch.from_numpy(found.windows.features[rows]).double(),
        "stress": torch.from_numpy(found.windows.stress[rows]),
        "identity": torch.from_numpy(found.windows.identity[rows]),
    }
    loss = found.objective(model(batch), batch)
    slopes = torch.autograd.grad(loss, list(model.parameters()))
    gradient = torch.cat([part.reshape(-1) for part in slopes]).numpy()
    if local.max_grad_norm is not None:
        gradient = gradient * min(1.0, local.max_grad_norm / np.linalg.norm(gradient))
    update = found.trainer.update(found.initial, rows, 0, {})
    np.testing.assert_allclose(update, -local.lr * gradient, rtol=1e-8, atol=1e-14)
    assert np.array_equal(read_flat(model).detach().numpy(), found.initial)


def test_audits_of_real_people_are_confidential(run_of: RunOf) -> None:
    for case, expected in (("server", 1), ("none", 0)):
        e = run_of(case).finished().experiment
        assert confidential(e) == ()
        assert len(confidential(replace(e, table=replace(e.table, synthetic=False)))) == expected
