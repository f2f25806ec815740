"""What every registered model must do."""

import inspect

import numpy as np
import pytest
import torch

from fedaffect import registry
from fedaffect.models.base import MultitaskModel
from fedaffect.models.factory import ModelFactory
from fedaffect.privacy.blocks import block_plan
from fedaffect.privacy.spec import PrivacySpec
from fedaffect.release_choice import policies

N_FEATURES, N_IDENTITIES = 60, 6
OPTIONS = {"n_features": N_FEATURES, "n_identities": N_IDENTITIES}


@pytest.fixture(params=sorted(registry.MODELS))
def factory(request: pytest.FixtureRequest) -> ModelFactory:
    return ModelFactory(registry.resolve("model", request.param), OPTIONS, "float64")


@pytest.fixture
def model(factory: ModelFactory) -> MultitaskModel:
    return factory.with_params(factory.initial(0))


def windows(n: int) -> dict[str, torch.Tensor]:
    drawn = torch.from_numpy(np.random.default_rng(0).normal(size=(n, N_FEATURES)))
    return {"features": drawn}


def test_says_what_it_predicts(model: MultitaskModel) -> None:
    tasks = {task.name: task for task in model.tasks}
    assert len(tasks) == len(model.tasks)
    assert [t.role for t in model.tasks].count("primary") == 1
    assert tasks["stress"].n_outputs == 2
    assert (tasks["identity"].role, tasks["identity"].n_outputs) == ("private", N_IDENTITIES)
    said = model(windows(3))
    assert {name: tuple(out.shape) for name, out in said.items()} == {
        task.name: (3, task.n_outputs) for task in model.tasks
    }


def test_heads_see_the_embedding_only(model: MultitaskModel) -> None:
    h = model.embed(windows(4))
    assert h.shape[0] == 4 and h.ndim == 2
    again = model.heads(h)
    for name, out in model(windows(4)).items():
        assert torch.equal(out, again[name])


def test_layers_lead_from_the_input_over_the_embedding_to_the_heads(model: MultitaskModel) -> None:
    batch = windows(5)
    layers = model.layers(batch)
    heads = {f"task:{name}": logits for name, logits in model(batch).items()}
    *_, embedding = [name for name in layers if not name.startswith("task:")]
    assert next(iter(layers)) == "input" and torch.equal(layers["input"], batch["features"])
    assert torch.equal(layers[embedding], model.embed(batch))
    assert list(layers)[-len(heads) :] == list(heads)
    assert all(torch.equal(layers[name], logits) for name, logits in heads.items())
    assert {(len(h), h.ndim) for h in layers.values()} == {(5, 2)}


def test_blocks_partition_the_parameters(factory: ModelFactory) -> None:
    layout = factory.layout
    parts = [layout.indices(block) for block in layout.blocks]
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(layout.size))
    assert sum(layout.block_sizes.values()) == layout.size
    tasks = [f"task:{task.name}" for task in factory.build().tasks]
    assert list(layout.blocks) == ["shared", *tasks]


def test_every_parameter_learns(model: MultitaskModel) -> None:
    total = sum(out.square().sum() for out in model(windows(32)).values())
    total.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and bool(parameter.grad.any()), name


def test_same_seed_same_model_and_no_global_draw(factory: ModelFactory) -> None:
    before = torch.random.get_rng_state()
    a, b = factory.initial(3), factory.initial(3)
    factory.build()(windows(2))
    assert np.array_equal(a, b)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_cites_its_paper_and_its_departures(factory: ModelFactory) -> None:
    module = inspect.getmodule(factory.model_class)
    assert module is not None and module.__doc__ is not None
    own = "Not from a paper" in module.__doc__
    assert own or "Departures from the paper:" in module.__doc__


def test_every_release_plan_is_a_part_of_the_next(factory: ModelFactory) -> None:
    model, layout = factory.build(), factory.layout

    def released(plan: str) -> set[int]:
        spec = PrivacySpec("none", policies=policies(plan, model))
        return set(block_plan(spec, layout, noise=False).released.tolist())

    head, adapter, full = released("head"), released("adapter"), released("full")
    assert 0 < len(head) < len(adapter) < len(full) == layout.size
    assert head < adapter < full
    heads = [f"task:{task.name}" for task in model.tasks if task.role == "private"]
    private = [i for head in heads for i in layout.indices(head)]
    assert private and not adapter & set(private)
