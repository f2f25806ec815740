"""What is said of a public backbone: whose data made it, how, and what it reads."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PublicData(_Frozen):
    """People whose recordings made a backbone. Nothing protects them.

    ``people`` are ids as the data set spells them, so that a run can refuse to call one of them
    private.
    """

    name: str
    title: str
    people: tuple[str, ...]
    windows: int
    synthetic: bool
    licence: str
    citation: str
    fingerprint: str

    @property
    def whose(self) -> str:
        """How many people of what, in words."""
        count = len(self.people)
        return f"{count} simulated people" if self.synthetic else f"{count} people of {self.title}"


class BackboneCard(_Frozen):
    """Travels in the file of the backbone.

    Attributes:
        name: How ``--backbone`` spells it, or the stem of its file.
        about: One line for lists.
        model: Registered name of the network.
        options: Arguments of the network that do not depend on a run's people.
        tasks: Tasks whose heads come with it.
        modality: Device whose windows it reads.
        feature_names: Columns that it reads, in order.
        objective: Weight of every term of the training objective.
        training: Epochs, seed and other settings of its training.
        public_data: Who made it.
        measured: Figures on people left out of its training, by name.
        command: What built it.
        version: Version of fedaffect that built it.
    """

    format_version: Literal[1] = 1
    name: str
    about: str
    model: str
    options: dict[str, int]
    tasks: tuple[str, ...]
    modality: str
    feature_names: tuple[str, ...]
    objective: dict[str, float]
    training: dict[str, float]
    public_data: tuple[PublicData, ...]
    measured: dict[str, float]
    command: str
    version: str

    @property
    def whose(self) -> str:
        """Whose data made it, in words."""
        return " and ".join(data.whose for data in self.public_data)
