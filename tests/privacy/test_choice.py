"""What goes together: unit, place, clip and mechanism; contradictions are refused before a run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fedaffect import registry
from fedaffect.errors import UsageError
from fedaffect.params import Layout
from fedaffect.privacy.base import LocalSteps, Mechanism, ReleasePlan
from fedaffect.privacy.choice import mechanism_of
from fedaffect.privacy.mechanisms.adaptive import AdaptiveGaussian
from fedaffect.privacy.mechanisms.window import PerWindow
from fedaffect.privacy.spec import AdaptiveClip, ClipSpec, PrivacySpec

GAUSSIAN = PrivacySpec("gaussian", eps=5.0)
WINDOW = replace(GAUSSIAN, unit="window", where="client")
ADAPTIVE = ClipSpec(adaptive=AdaptiveClip())


def chosen(spec: PrivacySpec) -> Mechanism:
    return mechanism_of(spec, registry.resolve("dp", spec.mechanism))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (replace(WINDOW, mechanism="laplace"), "--unit window does not go with --dp laplace"),
        (replace(WINDOW, where="server"), "draws its noise in the local steps"),
        (replace(WINDOW, clip=ADAPTIVE), "clips the gradient of every window"),
        (replace(WINDOW, clip=ClipSpec(per_block={"shared": 1.0})), "all blocks together"),
        (replace(WINDOW, clip=ClipSpec(target="weights")), "clips the gradient"),
        (replace(WINDOW, clip=ClipSpec(norm="linf")), "clips in l2, not linf"),
        (replace(GAUSSIAN, clip=ADAPTIVE, where="client"), "at the server"),
        (replace(GAUSSIAN, clip=ADAPTIVE, mechanism="laplace"), "needs Gaussian noise"),
        (replace(GAUSSIAN, clip=replace(ADAPTIVE, norm="linf")), "an l2 clip"),
        (replace(GAUSSIAN, clip=replace(ADAPTIVE, per_block={"shared": 1.0})), "one clip norm"),
        (replace(GAUSSIAN, allocation="optimal"), "divides noise between blocks"),
    ],
)
def test_contradictions_are_refused(spec: PrivacySpec, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        chosen(spec)
    assert caught.value.code == "E232" and caught.value.do


def test_laplace_needs_a_bound_in_l1() -> None:
    spec = PrivacySpec("laplace", eps=5.0, clip=ClipSpec(norm="l2"))
    with pytest.raises(UsageError, match="bound in L1") as caught:
        chosen(spec)
    assert caught.value.code == "E233"
    for norm in ("l1", "linf"):
        chosen(replace(spec, clip=ClipSpec(norm=norm)))  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "method"), [("gaussian", "tight"), ("moments", "rdp")])
def test_unit_and_clip_choose_the_mechanism_and_keep_its_accountant(name: str, method: str) -> None:
    per_window = chosen(replace(WINDOW, mechanism=name))
    adaptive = chosen(replace(GAUSSIAN, mechanism=name, clip=ADAPTIVE))
    assert isinstance(per_window, PerWindow) and per_window.method == method
    assert isinstance(adaptive, AdaptiveGaussian) and adaptive.method == method


def test_what_per_window_training_releases_is_not_clipped_again() -> None:
    plan = ReleasePlan(2, 3.0, 1.0, "full", 300, 1, 1, local=LocalSteps(((90, 100),), 10, 1, 2))
    layout = Layout(("w",), ((4,),), {"shared": ("w",)})
    ready = chosen(WINDOW).calibrate(plan, layout)
    update = np.array([30.0, -40.0, 0.0, 5.0])
    np.testing.assert_array_equal(ready.on_client(update, np.zeros(4)), update)
