"""What a worker process of the local engine is asked; arrays follow in shared memory.

Requests travel over a socket that the worker inherits from the process that started it; nobody
else can write to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from flwr.app import Context, Message

from fedaffect.clients.client_data import ClientData
from fedaffect.clients.side import ClientSide
from fedaffect.simulations.shared_arrays import Place

NO_ARRAY = np.empty(0)  # stands for an array that lies in shared memory


@dataclass(frozen=True)
class HostRequest:
    """Take over clients.

    Args:
        run_key: Name of the run.
        side: The clients, without their windows.
        places: Where the windows lie, as :func:`arrays_of` orders them.
    """

    run_key: str
    side: ClientSide
    places: tuple[Place, ...]


@dataclass(frozen=True)
class AnswerRequest:
    """Answer a message.

    Args:
        message: The message, without the model.
        context: Its context.
        model: Where the arrays of the model lie; ``None``: the message needs none.
    """

    message: Message
    context: Context
    model: tuple[Place, ...] | None


def arrays_of(side: ClientSide) -> Iterator[np.ndarray]:
    """Yield the windows and labels of every client."""
    for fold in side.folds:
        for client in fold:
            yield client.features
            yield from client.labels.values()


def without_arrays(side: ClientSide) -> ClientSide:
    """Return ``side`` with nothing where its windows and labels were."""
    return _with(side, lambda: NO_ARRAY)


def with_arrays(side: ClientSide, arrays: Iterator[np.ndarray]) -> ClientSide:
    """Return ``side`` with windows and labels from ``arrays``, ordered as by :func:`arrays_of`."""
    return _with(side, lambda: next(arrays))


def _with(side: ClientSide, array: Callable[[], np.ndarray]) -> ClientSide:
    def filled(client: ClientData) -> ClientData:
        features = array()
        return replace(client, features=features, labels={task: array() for task in client.labels})

    return replace(side, folds=tuple(tuple(map(filled, fold)) for fold in side.folds))
