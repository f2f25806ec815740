"""What happens to every block of a model: noise, freeze, keep on the client, or leave in the clear.

The words of ``--noise-layers`` name blocks of the model, beginnings of block names, or single
layers, which then become blocks of their own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np

from fedaffect.errors import UsageError
from fedaffect.params import Layout
from fedaffect.privacy.spec import BlockPolicy, PrivacySpec
from fedaffect.registry import did_you_mean

Value = TypeVar("Value")


@dataclass(frozen=True)
class BlockPlan:
    """The policy of every block. What leaves a client are the released coordinates, (r,).

    Args:
        layout: The model's parameters, in blocks as fine as the policies need.
        policies: One policy a block, in the order of the layout.
    """

    layout: Layout
    policies: tuple[tuple[str, BlockPolicy], ...]

    def named(self, *wanted: BlockPolicy) -> tuple[str, ...]:
        """Return the blocks with one of these policies, in the order of the layout."""
        return tuple(block for block, policy in self.policies if policy in wanted)

    def mask(self, *wanted: BlockPolicy) -> np.ndarray:
        """Return the coordinates of the blocks with one of these policies, (d,) bool."""
        mask = np.zeros(self.layout.size, dtype=bool)
        for block in self.named(*wanted):
            mask[self.layout.indices(block)] = True
        return mask

    @cached_property
    def released(self) -> np.ndarray:
        """Places of the released coordinates in the parameters, ascending, (r,)."""
        return np.flatnonzero(self.mask("noise", "clear"))

    @cached_property
    def frozen(self) -> np.ndarray | None:
        """Mask of the coordinates that never move, (d,) bool; ``None`` where all may."""
        mask = self.mask("freeze")
        return mask if mask.any() else None

    @cached_property
    def kept(self) -> np.ndarray:
        """Places of the coordinates that never leave a client, ascending."""
        return np.flatnonzero(self.mask("keep_local"))

    def place(self, block: str) -> np.ndarray:
        """Return where ``block`` lies within the released coordinates, ascending."""
        return np.searchsorted(self.released, self.layout.indices(block))

    def expand(self, values: np.ndarray) -> np.ndarray:
        """Return released ``values`` (r,) as a vector over all parameters (d,), else zero."""
        full = np.zeros(self.layout.size, dtype=values.dtype)
        full[self.released] = values
        return full

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 of layout and policies: two parties must agree on what leaves a client."""
        return hashlib.sha256(json.dumps([self.layout.digest, self.policies]).encode()).hexdigest()


def block_plan(spec: PrivacySpec, layout: Layout, *, noise: bool) -> BlockPlan:
    """Return the policy of every block of ``layout``.

    Args:
        spec: Which blocks get noise, and what happens to the others.
        layout: The model's parameters.
        noise: Whether the mechanism noises at all.

    Raises:
        UsageError: E225 a name is not known, names nothing in this model, or is given noise and
            another policy.
    """
    words = [word.strip() for word in spec.noise_layers.split(",")]
    split = [*spec.policies, *spec.clip.per_block, *spec.ratios]
    for word in sorted([*(w for w in words if noise), *split], key=_specificity):
        layout = _with_own_block(word, layout)
    others = by_block(spec.policies, layout)
    noised = {b for word in words for b in _named(word, layout)} if noise else set()
    if spec.noise_layers == "all":
        noised -= others.keys()
    if both := sorted(b for b in noised & others.keys() if others[b] != "noise"):
        raise UsageError(
            "E225",
            f"block {both[0]} is named in --noise-layers and has the policy {others[both[0]]}",
            do="drop one of the two",
        )
    if not noise and "noise" in others.values():
        raise UsageError("E225", "a block has the policy noise, but there is no mechanism")
    policies: tuple[tuple[str, BlockPolicy], ...] = tuple(
        (block, "noise" if block in noised else others.get(block, "clear"))
        for block in layout.blocks
    )
    plan = BlockPlan(layout, policies)
    if not len(plan.released) or (noise and not plan.named("noise")):
        raise UsageError(
            "E225", "no block is left to release", do="give at least one block the policy noise"
        )
    return plan


def by_block(values: Mapping[str, Value], layout: Layout) -> dict[str, Value]:
    """Return ``values`` by block: words name blocks, and of two words the more specific wins.

    Raises:
        UsageError: E225 a word names no parameters.
    """
    words = sorted(values, key=_specificity)
    return {block: values[word] for word in words for block in _named(word, layout)}


def _named(word: str, layout: Layout) -> list[str]:
    named = [b for b in layout.blocks if word == "all" or b == word or _begins(b, word)]
    if word and sum(layout.block_sizes[block] for block in named):
        return named
    known = ["all", "task", *layout.blocks, *sorted(_layers(layout))]
    raise UsageError(
        "E225",
        f"{word!r} names no parameters of this model (--noise-layers and dp.blocks name blocks)",
        do=did_you_mean(word, known),
    )


def _with_own_block(word: str, layout: Layout) -> Layout:
    """Return ``layout`` with a block of its own for the layer ``word``, if it names one."""
    if word == "all" or any(b == word or _begins(b, word) for b in layout.blocks):
        return layout
    named = {n for n in layout.names if n == word or n.startswith(f"{word}.")}
    if not named:
        return layout
    rest = {b: tuple(n for n in names if n not in named) for b, names in layout.blocks.items()}
    own = tuple(n for n in layout.names if n in named)
    return replace(layout, blocks={**{b: names for b, names in rest.items() if names}, word: own})


def _specificity(word: str) -> tuple[bool, int]:
    """Sort ``all`` first, and a beginning of a name before the name."""
    return word != "all", len(word)


def _begins(block: str, word: str) -> bool:
    return bool(word) and block.startswith(word) and block[len(word) : len(word) + 1] in (":", ".")


def _layers(layout: Layout) -> set[str]:
    return {name.rpartition(".")[0] for name in layout.names if "." in name}
