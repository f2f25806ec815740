"""Every term of the objective against a slow loop in float64."""

import math

import numpy as np
import pytest
import torch

from fedaffect import registry
from fedaffect.errors import DataError, UsageError
from fedaffect.pretraining.contrastive import Contrastive
from fedaffect.pretraining.objective import Step, read_objective
from fedaffect.pretraining.train import exchanged
from fedaffect.pretraining.windows import PublicWindows

B, H, F, P, C = 24, 5, 6, 4, 3


def windows(conditions: int = C) -> PublicWindows:
    rng = np.random.default_rng(3)
    stress = rng.integers(2, size=B)
    return PublicWindows(
        features=torch.from_numpy(rng.normal(size=(B, F))),
        stress=torch.from_numpy(stress),
        condition=torch.from_numpy(np.r_[np.arange(conditions), stress[conditions:]]),
        person=torch.from_numpy(np.arange(B) % P),
        weight=torch.from_numpy(rng.uniform(0.5, 2, B)),
        levels=torch.from_numpy(rng.normal(size=(P, F))),
        conditions=conditions,
        sensor=torch.zeros(F, dtype=torch.int64),
    )


MIX = torch.from_numpy(np.random.default_rng(8).normal(size=(F, H)))


def step_of(public: PublicWindows) -> Step:
    rng, rows = np.random.default_rng(5), torch.arange(B)
    return Step(
        h=torch.from_numpy(rng.normal(size=(B, H))).requires_grad_(),
        outputs={"stress": torch.from_numpy(rng.normal(size=(B, 2)))},
        labels=public.labels(rows),
        windows=public.features,
        exchanged=exchanged(public, rows),
        embed=lambda x: torch.tanh(x @ MIX),
    )


def log_softmax(row: np.ndarray) -> np.ndarray:
    answer: np.ndarray = row - math.log(sum(math.exp(v) for v in row))
    return answer


def linear(layer: torch.nn.Linear, h: torch.Tensor) -> np.ndarray:
    w, b = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    answer: np.ndarray = h.detach().numpy() @ w.T + b
    return answer


def test_stress_is_the_weighted_cross_entropy() -> None:
    public = windows()
    step = step_of(public)
    said = registry.resolve("objective", "stress")().term(public, H)(step)
    expected = 0.0
    for i in range(B):
        row = log_softmax(step.outputs["stress"][i].numpy())
        expected -= float(public.weight[i]) * row[int(public.stress[i])] / B
    assert said.item() == pytest.approx(expected, rel=1e-12)


def test_emotion_is_the_cross_entropy_of_its_own_head() -> None:
    public = windows()
    step = step_of(public)
    term = registry.resolve("objective", "emotion")().term(public, H).double()
    logits = linear(term.head, step.h)
    expected = -np.mean([log_softmax(logits[i])[int(public.condition[i])] for i in range(B)])
    assert term(step).item() == pytest.approx(expected, rel=1e-12)


def test_emotion_needs_more_than_stress_and_no_stress() -> None:
    with pytest.raises(DataError) as caught:
        registry.resolve("objective", "emotion")().term(windows(conditions=2), H)
    assert caught.value.code == "E385"


def test_contrastive_pulls_other_people_of_the_same_condition() -> None:
    public = windows()
    step = step_of(public)
    said = Contrastive(temperature=0.5).term(public, H)(step)
    v = step.h.detach().numpy()
    v = v - v.mean(axis=0)
    v = v / np.linalg.norm(v, axis=1, keepdims=True)
    condition, person = public.condition.numpy(), public.person.numpy()
    losses = []
    for i in range(B):
        others = [j for j in range(B) if j != i]
        total = math.log(sum(math.exp(v[i] @ v[j] / 0.5) for j in others))
        positive = [j for j in others if condition[j] == condition[i] and person[j] != person[i]]
        if positive:
            losses.append(-np.mean([v[i] @ v[j] / 0.5 - total for j in positive]))
    assert said.item() == pytest.approx(np.mean(losses), rel=1e-10)


def test_adversarial_teaches_its_head_and_the_opposite_to_the_embedding() -> None:
    public = windows()
    step = step_of(public)
    term = registry.resolve("objective", "adversarial")().term(public, H).double()
    torch.autograd.backward(term(step))
    reversed_gradient, own = step.h.grad, [p.grad for p in term.parameters()]
    plain = step.h.detach().clone().requires_grad_()
    loss = torch.nn.functional.cross_entropy(term.head(plain), step.labels["person"])
    expected = torch.autograd.grad(loss, [plain, *term.parameters()])
    assert reversed_gradient is not None
    torch.testing.assert_close(reversed_gradient, -expected[0])
    torch.testing.assert_close(own, list(expected[1:]))


def test_reconstruction_aims_at_the_deviation_from_the_person() -> None:
    public = windows()
    step = step_of(public)
    term = registry.resolve("objective", "reconstruction")().term(public, H).double()
    told = linear(term.decoder, step.h)
    total = 0.0
    for i in range(B):
        x, level = public.features[i].numpy(), public.levels[i % P].numpy()
        total += float(np.sum((told[i] - np.clip(x - level, -4, 4)) ** 2))
    assert term(step).item() == pytest.approx(total / (B * F), rel=1e-12)


def test_consistency_is_the_distance_to_the_same_window_on_another_level() -> None:
    public = windows()
    step = step_of(public)
    here = np.tanh(step.windows.numpy() @ MIX.numpy())
    there = np.tanh(step.exchanged.numpy() @ MIX.numpy())
    moved = np.mean([np.sum((a - b) ** 2) for a, b in zip(here, there, strict=True)])
    expected = moved / (sum(np.var(here[:, k], ddof=1) for k in range(H)) + 1e-3)
    said = registry.resolve("objective", "consistency")().term(public, H)(step)
    assert said.item() == pytest.approx(expected, rel=1e-12)


def test_an_objective_is_read_in_any_order() -> None:
    assert read_objective("stress=2, contrastive=0.5") == {"contrastive": 0.5, "stress": 2.0}
    assert read_objective("stress") == {"stress": 1.0}


@pytest.mark.parametrize(
    "text",
    ["", "stres=1", "stress=", "stress=0", "stress=-1", "stress=nan", "stress=x", "stress,stress"],
)
def test_another_objective_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_objective(text)
    assert caught.value.code == "E271"
    assert caught.value.do
