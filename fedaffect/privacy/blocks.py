"""Which blocks of a model get noise: the words of ``--noise-layers`` against a layout."""

from __future__ import annotations

import numpy as np

from fedaffect.errors import UsageError
from fedaffect.params import Layout
from fedaffect.registry import did_you_mean


def noised_blocks(noise_layers: str, layout: Layout) -> tuple[str, ...]:
    """Return the names of the noised blocks, in the order of the layout.

    Args:
        noise_layers: ``all``, ``task`` (every head), or block names; commas separate several.
        layout: The model's parameters.

    Raises:
        UsageError: E225 a name is empty, not known, or names nothing in this model.
    """
    chosen: set[str] = set()
    for word in noise_layers.split(","):
        chosen.update(_named(word.strip(), layout))
    return tuple(block for block in layout.blocks if block in chosen)


def mask_of(blocks: tuple[str, ...], layout: Layout) -> np.ndarray:
    """Return the coordinates of ``blocks``, (d,) bool."""
    mask = np.zeros(layout.size, dtype=bool)
    for block in blocks:
        mask[layout.indices(block)] = True
    return mask


def _named(word: str, layout: Layout) -> list[str]:
    groups = {
        "all": list(layout.blocks),
        "task": [block for block in layout.blocks if block.startswith("task:")],
    }
    named = groups.get(word, [word] if word in layout.blocks else [])
    if sum(layout.block_sizes[block] for block in named):
        return named
    known = [*groups, *layout.blocks]
    raise UsageError(
        "E225",
        f"--noise-layers {word!r} names no parameters of this model",
        do=did_you_mean(word, known),
    )
