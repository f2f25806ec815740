"""From what was asked to the mechanism that does it; contradictions are refused here."""

from __future__ import annotations

from typing import Any

from fedaffect.errors import UsageError
from fedaffect.privacy.base import Mechanism
from fedaffect.privacy.spec import PrivacySpec


def mechanism_of(spec: PrivacySpec, registered: Any) -> Mechanism:
    """Return the mechanism for ``spec``, not calibrated yet.

    Args:
        spec: What was asked.
        registered: The class that the registry has under ``spec.mechanism``.

    Raises:
        UsageError: E232 unit, place or clip do not go with the mechanism; E233 a norm that gives
            its noise no bound.
    """
    plain: Mechanism = registered(spec=spec)
    noise = getattr(plain, "noise", None)
    if noise == "laplace" and not spec.mechanism.startswith("paper-"):
        _refuse_laplace_without_l1(spec)
    if spec.allocation != "uniform" and not spec.clip.per_block:
        raise _conflict(
            f"dp.noise_allocation {spec.allocation} divides noise between blocks",
            "give every noised block a clip norm of its own in dp.block_clips",
        )
    if spec.unit == "window":
        return _per_window(spec, plain)
    if spec.clip.adaptive is not None:
        return _adaptive(spec, plain)
    return plain


def _per_window(spec: PrivacySpec, plain: Mechanism) -> Mechanism:
    from fedaffect.privacy.mechanisms.gaussian import Gaussian
    from fedaffect.privacy.mechanisms.window import PerWindow

    if not isinstance(plain, Gaussian):
        raise _conflict(f"--unit window does not go with --dp {spec.mechanism}", "--dp gaussian")
    if spec.where == "server":
        raise _conflict(
            "--unit window draws its noise in the local steps of the clients",
            "drop --dp-where server",
        )
    if spec.clip.adaptive or spec.clip.per_block or spec.clip.target == "weights":
        raise _conflict(
            "--unit window clips the gradient of every window, all blocks together",
            "give one --clip number, and neither dp.block_clips nor dp.clip_target",
        )
    if spec.clip.norm not in (None, "l2"):
        raise _conflict(f"--unit window clips in l2, not {spec.clip.norm}", "drop dp.clip_norm")
    return PerWindow(spec=spec, method=plain.method)


def _adaptive(spec: PrivacySpec, plain: Mechanism) -> Mechanism:
    from fedaffect.privacy.mechanisms.adaptive import AdaptiveGaussian
    from fedaffect.privacy.mechanisms.gaussian import Gaussian

    if not isinstance(plain, Gaussian) or spec.clip.norm not in (None, "l2"):
        raise _conflict("--clip adaptive needs Gaussian noise and an l2 clip", "--dp gaussian")
    if spec.where == "client":
        raise _conflict(
            "--clip adaptive needs the noised count of clients within the clip, at the server",
            "--dp-where server, or a fixed --clip",
        )
    if spec.clip.per_block or spec.clip.target == "weights":
        raise _conflict(
            "--clip adaptive moves one clip norm of the update",
            "neither dp.block_clips nor dp.clip_target weights",
        )
    return AdaptiveGaussian(spec=spec, method=plain.method)


def _refuse_laplace_without_l1(spec: PrivacySpec) -> None:
    if spec.clip.norm == "l2":
        raise UsageError(
            "E233",
            "--dp laplace needs a bound in L1: an l2 clip leaves up to C sqrt(d) of it",
            do="dp.clip_norm l1 or linf; the paper's way is --dp paper-laplace",
        )


def _conflict(what: str, do: str) -> UsageError:
    return UsageError("E232", what, do=do)
