"""1D-CNN for stress and identity.

Paper: M. Benouis, Y. S. Can, E. André, "A Privacy-Preserving Multi-Task Learning Framework For
Emotion and Identity Recognition from Multimodal Physiological Signals", Table II.

Departures from the paper:
    - The table prints "Padding" without a size. Three zeros on the left and four on the right keep
      the length, which makes the printed ``IN=360`` of FC_1 come out for 60 features.
    - Max-pooling runs before ReLU instead of after it: the same values and gradients for less work.
    - The flatten size follows from the number of features instead of being fixed at 360.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from fedaffect.errors import UsageError
from fedaffect.models.base import Batch, MultitaskModel, Task, chosen_tasks
from fedaffect.models.convolution import convolved

PADDING = (3, 4)  # zeros to the left and to the right
POOLS = ((2, 2), (8, 2), (2, 2))  # (window, stride) of Pooling_3, Pooling_6, Pooling_9


def pooled_length(n_features: int) -> int:
    """Return the length that is left of ``n_features`` after the three pooling layers."""
    length = n_features
    for window, stride in POOLS:
        length = (length - window) // stride + 1 if length >= window else 0
    return length


class StressIdentityCNN(MultitaskModel):
    """Three convolutions, a shared layer of 100, a stress head and an identity head.

    Args:
        n_features: Number F of features of a window.
        n_identities: Number of people that the identity head tells apart.
        tasks: Names of the tasks that are trained, the primary one first; others have no head.

    Raises:
        UsageError: E230 when the features do not survive the pooling layers; E210 a task is not
            known.
    """

    def __init__(
        self,
        n_features: int = 60,
        n_identities: int = 15,
        tasks: Sequence[str] = ("stress", "identity"),
    ) -> None:
        super().__init__()
        length = pooled_length(n_features)
        if length < 1:
            raise UsageError(
                "E230",
                f"stress_identity_cnn needs at least 20 features, the data give {n_features}",
                do="use more channels or another --model",
            )
        stress = Task("stress", "classification", 2, "auxiliary")
        identity = Task("identity", "classification", n_identities, "private")
        self.tasks = chosen_tasks((stress, identity), tasks)
        self.conv_1 = nn.Conv1d(1, 20, kernel_size=8)
        self.conv_4 = nn.Conv1d(20, 40, kernel_size=8)
        self.conv_7 = nn.Conv1d(40, 60, kernel_size=8)
        self.fc_1 = nn.Linear(60 * length, 100)
        if "stress" in tasks:
            self.linear_1 = nn.Linear(100, 2)
        if "identity" in tasks:
            self.fc_2 = nn.Linear(100, 300)
            self.linear_2 = nn.Linear(300, n_identities)

    def embed(self, batch: Batch) -> Tensor:
        """Return the output of FC_1, (B, 100)."""
        return self._trunk(batch)["fc_1"]

    def layers(self, batch: Batch) -> dict[str, Tensor]:
        """Return the input, each convolution after pooling and ReLU, FC_1, and the logits."""
        trunk = {name: h.flatten(1) for name, h in self._trunk(batch).items()}
        return {"input": batch["features"]} | trunk | self.head_layers(trunk["fc_1"])

    def _trunk(self, batch: Batch) -> dict[str, Tensor]:
        """Return the shared layers by name: convolutions (B, channels, length), then ``fc_1``."""
        h = batch["features"].unsqueeze(1)  # (B, 1, F)
        convolutions = {"conv_1": self.conv_1, "conv_4": self.conv_4, "conv_7": self.conv_7}
        layers: dict[str, Tensor] = {}
        for (name, conv), (window, stride) in zip(convolutions.items(), POOLS, strict=True):
            layers[name] = h = convolved(h, conv, PADDING, window, stride)
        # for F = 60: (B, 20, 30), (B, 40, 12), (B, 60, 6)
        layers["fc_1"] = F.relu(self.fc_1(h.flatten(1)))  # (B, 100)
        return layers

    def heads(self, h: Tensor) -> dict[str, Tensor]:
        """Return stress (B, 2) and identity (B, n_identities) logits from ``h`` (B, 100)."""
        of = {"stress": self._stress, "identity": self._identity}
        return {task.name: of[task.name](h) for task in self.tasks}

    def _stress(self, h: Tensor) -> Tensor:
        logits: Tensor = self.linear_1(h)
        return logits

    def _identity(self, h: Tensor) -> Tensor:
        logits: Tensor = self.linear_2(F.relu(self.fc_2(h)))
        return logits

    def blocks(self) -> dict[str, list[str]]:
        """Return the shared layers, then the head of every task."""
        of = {"linear_1": "task:stress", "fc_2": "task:identity", "linear_2": "task:identity"}
        names = ["shared", *(f"task:{task.name}" for task in self.tasks)]
        blocks: dict[str, list[str]] = {name: [] for name in names}
        for name, _ in self.named_parameters():
            blocks[of.get(name.partition(".")[0], "shared")].append(name)
        return blocks
