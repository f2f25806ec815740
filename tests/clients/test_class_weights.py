"""Class weights of a client against a slow loop, their refusal, and what a statement says."""

import numpy as np
import pytest
import torch
from command_line import refused
from tiny import tiny

from fedaffect.clients.class_weights import own_class_weights
from fedaffect.clients.client_data import ClientData
from fedaffect.clients.local import Trainer, TrainPlan
from fedaffect.errors import UsageError
from fedaffect.models.base import MISSING_LABEL, Task
from fedaffect.models.compact_encoder import CompactEncoder
from fedaffect.models.factory import ModelFactory
from fedaffect.outline import outline
from fedaffect.strategies.fedavg import FedAvg
from fedaffect.summary import promised

FACTORY = ModelFactory(
    CompactEncoder, {"n_features": 7, "n_identities": 4, "hidden": 5, "width": 3}, "float64"
)
START = FACTORY.initial(0)
STRESS = Task("stress", "classification", 2, "primary")
LR = 0.01


def plan(batch_size: int, class_weights: str) -> TrainPlan:
    return TrainPlan(3, 1, batch_size, LR, 0.0, "sgd", None, class_weights)  # type: ignore[arg-type]


def client(n: int, stressed: int, missing: int = 0, seed: int = 0) -> ClientData:
    """``stressed`` of ``n`` windows are stressed, then ``missing`` ones have no stress label."""
    draw = np.random.default_rng(seed)
    stress = np.zeros(n, dtype=np.int64)
    stress[:stressed] = 1
    stress[stressed : stressed + missing] = MISSING_LABEL
    identity = np.full(n, 2)
    features = draw.normal(size=(n, 7)).astype(np.float32)
    return ClientData(5, features, {"stress": stress, "identity": identity})


def gradient_of(data: ClientData, class_weights: str, batch_size: int = 99) -> np.ndarray:
    """Return what one step with one batch goes down."""
    trainer = Trainer(FACTORY.build(), FedAvg(), plan(batch_size, class_weights))
    update, _ = trainer.train(torch.from_numpy(START.copy()), data, 0, 1)
    return -update.numpy() / LR


def slow_gradient(data: ClientData) -> np.ndarray:
    """One window at a time, weights by counting in plain Python."""
    model = FACTORY.with_params(START)
    total = torch.zeros((), dtype=torch.float64)
    for task, labels in data.labels.items():
        known = [i for i in range(len(data)) if labels[i] >= 0]
        classes = {int(labels[i]) for i in known}
        for i in known:
            alike = sum(int(labels[j] == labels[i]) for j in known)
            weight = len(known) / (len(classes) * alike)
            x = torch.tensor(data.features[i : i + 1]).double()
            logits = model({"features": x})[task][0]
            loss = torch.logsumexp(logits, 0) - logits[labels[i]]
            total = total + weight * loss / len(known)
    total.backward()
    return np.concatenate([p.grad.numpy().ravel() for p in model.parameters()])  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("n", "stressed", "missing"), [(12, 2, 0), (9, 7, 1), (6, 0, 0), (5, 1, 3)]
)
def test_gradient_is_that_of_a_slow_loop(n: int, stressed: int, missing: int) -> None:
    data = client(n, stressed, missing)
    found = gradient_of(data, "client")
    np.testing.assert_allclose(found, slow_gradient(data), rtol=0, atol=1e-12)


def test_rare_windows_count_more_and_equal_classes_change_nothing() -> None:
    uneven, even = client(12, 2), client(12, 6)
    assert np.abs(gradient_of(uneven, "client") - gradient_of(uneven, "none")).max() > 1e-3
    np.testing.assert_allclose(
        gradient_of(even, "client"), gradient_of(even, "none"), rtol=0, atol=1e-13
    )


def test_weights_of_all_windows_add_up_to_their_number() -> None:
    labels = torch.tensor([0, 0, 0, 1, MISSING_LABEL, 0])
    weights = own_class_weights((STRESS,), {"stress": labels}, torch.float64)["stress"]
    assert weights.tolist() == [5 / 8, 5 / 2]


def test_batches_of_an_epoch_add_up_to_the_whole_gradient() -> None:
    """A batch is divided by its windows, not by their weights: rare windows keep theirs."""
    data = client(12, 2)
    slow = np.zeros_like(START)
    small = TrainPlan(3, 1, 4, 1e-9, 0.0, "sgd", None, "client")  # steps too short to interact
    update, _ = Trainer(FACTORY.build(), FedAvg(), small).train(
        torch.from_numpy(START.copy()), data, 0, 1
    )
    slow = -update.numpy() / 1e-9 / 3
    np.testing.assert_allclose(slow, slow_gradient(data), rtol=0, atol=1e-6)


def test_single_windows_refuse_them() -> None:
    refused(
        "E277",
        *("simulate", "--dry-run", "--dp", "gaussian", "--eps", "5"),
        *("--unit", "window", "--class-weights", "client"),
    )
    with pytest.raises(UsageError, match="--unit window"):
        tiny({"federation.class_weights": "client", "dp.unit": "window"})


@pytest.mark.parametrize("class_weights", ["none", "client"])
def test_statement_stays_formal_for_a_client(class_weights: str) -> None:
    config = tiny(
        {
            "federation.class_weights": class_weights,
            "model.release": "head",
            "dp.mechanism": "gaussian",
            "dp.eps": 2.0,
        }
    )
    said = promised(outline(config)).to_dict()
    assert said["status"] == "FORMAL"
    assert said["unit"] == "client"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "none"),
        ({"model.release": "head"}, "client"),
        ({"model.release": 3, "federation.class_weights": "none"}, "none"),
        (
            {"model.release": "head", "dp.mechanism": "gaussian", "dp.eps": 5, "dp.unit": "window"},
            "none",
        ),
    ],
)
def test_they_are_the_default_where_few_numbers_are_released(
    changes: dict[str, object], expected: str
) -> None:
    assert tiny(changes).class_weights == expected
