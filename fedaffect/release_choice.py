"""What is trained on private people and leaves their devices; everything else is public and frozen.

``--release full`` trains the whole network, ``head`` the heads of its tasks, ``adapter`` the heads
and the constants (biases) of the shared layers (Ben Zaken et al. 2022, BitFit), and a number N a
correction of the primary head by at most N numbers. Heads of private tasks stay on the clients
under every plan but ``full``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fedaffect.config import RunConfig
from fedaffect.errors import DataError, UsageError
from fedaffect.models.backbone import Backbone, PublicWeights, load_backbone
from fedaffect.privacy.spec import BlockPolicy

if TYPE_CHECKING:
    from fedaffect.models.base import MultitaskModel
    from fedaffect.models.factory import ModelFactory

NO_BACKBONE = "none"
DEFAULT_BACKBONE = "synthetic"
DEFAULT_MODEL = "stress_identity_cnn"


@dataclass(frozen=True)
class Start:
    """What a run starts from.

    Args:
        backbone: The public backbone; ``None``: random weights.
        weights: Its weights for the run's scaling of the features.
    """

    backbone: Backbone | None = None
    weights: PublicWeights | None = None

    @property
    def options(self) -> Mapping[str, int]:
        """Arguments of the network that the backbone decides."""
        return self.backbone.card.options if self.backbone else {}

    @property
    def public_data(self) -> tuple[str, ...]:
        """Whose data made it, one line each."""
        return tuple(d.whose for d in self.backbone.card.public_data) if self.backbone else ()


def with_release(config: RunConfig) -> tuple[Start, RunConfig]:
    """Return what the run starts from, and ``config`` with model, tasks, scaling and training set.

    Raises:
        UsageError: E229 the release, the backbone and the model do not go together.
        DataError: E380 to E382 the backbone is missing, damaged, changed, or does not read what
            the run offers.
    """
    model = config.model
    release = model.release or ("head" if model.backbone not in (None, NO_BACKBONE) else "full")
    few = release != "full"
    name = model.backbone or (DEFAULT_BACKBONE if few else NO_BACKBONE)
    decided: dict[str, Any] = {
        "model.release": release,
        "model.backbone": name,
        "model.tasks": model.tasks or (("stress",) if few else ("stress", "identity")),
        "data.normalise": config.data.normalise or _scaling(config, few),
        "federation.rounds": config.rounds,
        "federation.local_epochs": config.local_epochs,
        "federation.class_weights": config.class_weights,
    }
    if name == NO_BACKBONE:
        if isinstance(release, int):
            raise UsageError(
                "E229",
                f"--release {release} needs a backbone, whose embedding has known axes",
                do="--backbone synthetic, or --release head",
            )
        return Start(), config.replace(decided | {"model.name": model.name or DEFAULT_MODEL})
    backbone = load_backbone(name)
    decided |= {"model.name": backbone.card.model, "model.backbone_sha256": backbone.sha256}
    config = config.replace(decided)
    _refuse_other(model.name, model.backbone_sha256, name, backbone)
    return Start(backbone, _weights(backbone, name, config)), config


def refuse_public_people(start: Start, dataset: str, subjects: tuple[str, ...]) -> None:
    """Refuse to call people private whose data made the backbone.

    Raises:
        DataError: E383.
    """
    for public in start.backbone.card.public_data if start.backbone else ():
        both = sorted(set(public.people) & set(subjects)) if public.name == dataset else []
        if both and not public.synthetic:
            shown = ", ".join(both[:3]) + (" ..." if len(both) > 3 else "")
            raise DataError(
                "E383",
                f"{len(both)} people of this run ({shown}) made the backbone: they cannot be "
                "protected any more",
                do="--people with the others, or another --backbone",
            )


def policies(release: str | int, model: MultitaskModel) -> dict[str, BlockPolicy]:
    """Return what happens to the blocks and parameters that are not released.

    Args:
        release: The resolved plan.
        model: The network of the run.
    """
    if release == "full":
        return {}
    from fedaffect.models.narrow_head import BLOCK

    kept: dict[str, BlockPolicy] = {
        f"task:{task.name}": "keep_local" for task in model.tasks if task.role == "private"
    }
    for block, parameters in model.blocks().items():
        if block in kept or block == BLOCK:
            continue
        if block.startswith("task:"):
            if isinstance(release, int):
                kept[block] = "freeze"
        elif release == "adapter":
            kept |= {name: "freeze" for name in parameters if not name.endswith("bias")}
        else:
            kept[block] = "freeze"
    return kept


def _scaling(config: RunConfig, few: bool) -> str:
    """Return the scaling of the features that suits the plan: a person's own, on the device."""
    own = few and config.data.partition == "subject" and config.dp.unit == "client"
    return "subject" if own else "public"


def _refuse_other(model: str | None, sha256: str | None, name: str, backbone: Backbone) -> None:
    if model not in (None, backbone.card.model):
        raise UsageError(
            "E229",
            f"--model {model} is not the network of --backbone {name}",
            do=f"--model {backbone.card.model}, or drop --model",
        )
    if sha256 not in (None, backbone.sha256):
        raise DataError(
            "E382",
            f"--backbone {name}: another file than the run names (SHA-256 differs)",
            do="restore the file, or start a new run with it",
        )


def _weights(backbone: Backbone, name: str, config: RunConfig) -> PublicWeights:
    """Return the weights for the run's scaling, after a look at what they read."""
    card, scaling, modality = backbone.card, config.data.normalise, config.data.modality
    if card.modality != modality:
        raise DataError(
            "E382",
            f"--backbone {name} reads {card.modality} signals, the run has {modality}",
            do=f"--modality {card.modality}, or another --backbone",
        )
    if scaling not in backbone.weights:
        raise DataError(
            "E382",
            f"--backbone {name} was not trained for --normalise {scaling}",
            do=f"--normalise {' or '.join(backbone.weights)}",
        )
    return backbone.weights[str(scaling)]


def refuse_other_shapes(factory: ModelFactory, name: str) -> None:
    """Refuse weights that do not fit the network of the run.

    Raises:
        DataError: E381 a public parameter is missing, unknown or of another shape.
    """
    if factory.public is None:
        return
    prefix = "" if factory.numbers is None else "inner."
    layout = factory.layout
    shapes = dict(zip(layout.names, layout.shapes, strict=True))
    values = {f"{prefix}{n}": np.shape(v) for n, v in factory.public.values.items()}
    shared = [n for n in layout.blocks["shared"] if n not in ("centre", "directions")]
    odd = [n for n in shared if n not in values]
    odd += [n for n, shape in values.items() if n in shapes and shapes[n] != shape]
    if odd:
        what = odd[0].removeprefix(prefix)
        raise DataError(
            "E381",
            f"--backbone {name}: {what} does not fit {factory.model_class.__name__}",
            do="train it again with fedaffect pretrain",
        )
