"""Nodes that are processes of their own: one message each, tried again where a process dies.

A worker that dies is restarted and its message sent again; if it dies again, its clients are lost
for this round. A worker that does not answer in time is replaced, and its clients are lost.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

from flwr.app import Error, Message, RecordDict

from fedaffect.clients.side import ClientSide
from fedaffect.errors import ClientsLostError
from fedaffect.simulations.local import SimulationGrid

TRIES = 2
FIRST_NODE_ID = 2
NODE_LOST = 5  # Flower's error code for a node that is not available


class WorkerDiedError(Exception):
    """The process of a node has ended; the message says how."""


class WorkerFailedError(Exception):
    """A node answered with an error that nobody foresaw; the message says which."""


class WorkerGrid(SimulationGrid):
    """One node a worker process; every node can train every client.

    Args:
        run_key: Name of the run inside the workers.
        workers: Number of worker processes.
    """

    def __init__(self, run_key: str, workers: int) -> None:
        super().__init__(run_key, tuple(range(FIRST_NODE_ID, FIRST_NODE_ID + workers)))

    @abstractmethod
    def place(self, side: ClientSide) -> None:
        """Give the workers their clients; those that live take them over."""

    @abstractmethod
    def worker_pids(self) -> list[int]:
        """Return the process ids of the workers."""

    @abstractmethod
    def _restart(self, node: int) -> None:
        """Start the worker of ``node``; end the one that it has, if any."""

    @abstractmethod
    def _share(self, model: Any) -> Any:
        """Put the model of a round where all workers can read it; return how they find it."""

    @abstractmethod
    def _send(self, message: Message, model: Any) -> Any:
        """Send a message to its worker; return what to wait for."""

    @abstractmethod
    def _first(self, pending: Sequence[Any], timeout: float | None) -> Any:
        """Return the first of ``pending`` that is ready; ``None`` where none is in time."""

    @abstractmethod
    def _answer(self, ready: Any) -> Message:
        """Return the reply that is ready.

        Raises:
            WorkerDiedError: there is none: the worker has died.
            WorkerFailedError: there is none: the worker failed, and lives.
        """

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Send every message to its worker and return the replies, in the order sent."""
        waiting = list(messages)
        model = self._share_model(waiting)
        tries = dict.fromkeys(range(len(waiting)), 1)
        pending = {self._send(m, model): i for i, m in enumerate(waiting)}
        replies: dict[int, Message] = {}
        deadline = None if timeout is None else time.monotonic() + timeout
        while pending:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            ready = self._first(list(pending), left)
            if ready is None:  # a hung worker is replaced, its clients are lost for this round
                for i in pending.values():
                    replies[i] = _lost(waiting[i], f"no answer within {timeout:g} s")
                    self._restart(waiting[i].metadata.dst_node_id)
                break
            i = pending.pop(ready)
            message = waiting[i]
            try:
                replies[i] = self._answer(ready)
            except WorkerFailedError as error:
                replies[i] = _lost(message, str(error)[:200])
            except WorkerDiedError as error:  # or it was killed, for memory for example
                self._restart(message.metadata.dst_node_id)
                if tries[i] < TRIES:
                    tries[i] += 1
                    pending[self._send(message, model)] = i
                else:
                    replies[i] = _lost(message, f"worker died twice ({error})")
        return [replies[i] for i in range(len(waiting))]

    def _share_model(self, messages: Sequence[Message]) -> Any:
        """Take the model that all messages share out of them; return how workers find it."""
        models = [m.content["model"] for m in messages if "model" in m.content]
        if not models:
            return None
        if any(model is not models[0] for model in models):
            raise ClientsLostError("E702", "messages of one round carry different models")
        for message in messages:
            message.content = RecordDict(
                {name: r for name, r in message.content.items() if name != "model"}
            )
        return self._share(models[0])


def _lost(message: Message, why: str) -> Message:
    return Message(Error(NODE_LOST, why), reply_to=message)
