import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fedaffect.strategies.fedavg import FedAvg
from fedaffect.strategies.fedprox import FedProx


@given(st.integers(1, 12), st.integers(1, 30), st.integers(0, 10**6))
def test_mean_is_eq_2_in_row_order(n: int, d: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    updates, windows = draw.normal(size=(n, d)), draw.integers(1, 500, n)
    weights = windows / windows.sum()
    got = FedAvg().aggregate(updates, weights)
    slow = [0.0] * d  # Eq. (2): sum of |D_i| / |D| times the update of client i, in order
    for i in range(n):
        for j in range(d):
            slow[j] += float(weights[i]) * float(updates[i, j])
    assert got.tolist() == slow
    assert got.dtype == np.float64


def test_single_precision_rows_are_summed_in_double() -> None:
    rows = np.full((2**12, 1), 1 + 2**-20, dtype=np.float32)  # float32 would lose the tail
    got = FedAvg().aggregate(rows, np.full(len(rows), 1 / len(rows)))
    assert got[0] == 1 + 2**-20


def test_server_adds_the_update() -> None:
    params = np.array([1.0, -2.0])
    assert FedAvg().server_step(params, np.array([0.5, 0.25])).tolist() == [1.5, -1.75]
    assert params.tolist() == [1.0, -2.0]


@settings(deadline=None)
@given(st.floats(0, 100), st.integers(0, 10**6))
def test_proximal_term_is_half_mu_times_the_squared_distance(mu: float, seed: int) -> None:
    draw = np.random.default_rng(seed)
    shapes = [(3, 2), (), (4,)]  # a 0-d parameter counts as well
    params = [torch.tensor(draw.normal(size=s), requires_grad=True) for s in shapes]
    start = [torch.tensor(draw.normal(size=s)) for s in shapes]
    task_loss = torch.tensor(0.75, dtype=torch.float64)
    got = FedProx(mu=mu).client_loss(task_loss, params, start)
    flat = np.concatenate(
        [(p.detach() - s).numpy().ravel() for p, s in zip(params, start, strict=True)]
    )
    assert got.item() == pytest.approx(0.75 + mu / 2 * float(flat @ flat), rel=1e-12)
    if mu > 0:
        got.backward()
        pull = np.concatenate([p.grad.numpy().ravel() for p in params])  # type: ignore[union-attr]
        np.testing.assert_allclose(pull, mu * flat, rtol=1e-12, atol=1e-300)


def test_mu_zero_is_fedavg() -> None:
    loss, params = torch.tensor(1.5), [torch.ones(3)]
    assert FedProx(mu=0.0).client_loss(loss, params, [torch.zeros(3)]) is loss
    assert FedAvg().client_loss(loss, params, [torch.zeros(3)]) is loss
