"""The Ray engine: long-lived single-thread actors, the model put once a round.

An actor that dies is restarted and its message sent again; if it dies again, its clients are lost
for this round. Works on one machine or, with an address, on a cluster that already runs.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import Any

from flwr.app import Context, Error, Message, RecordDict

from fedaffect.clients.side import ClientSide
from fedaffect.errors import ClientsLostError
from fedaffect.simulations.local import SimulationGrid, node_context
from fedaffect.simulations.ray_session import RaySession

TRIES = 2
FIRST_NODE_ID = 2
NODE_LOST = 5  # Flower's error code for a node that is not available


class _Worker:
    """One node: a process that keeps its model and data, and answers messages."""

    def __init__(self, run_key: str, side: ClientSide) -> None:
        from fedaffect.simulations.flower_internals import adopt_task_identity

        adopt_task_identity()
        self.host(run_key, side)

    def host(self, run_key: str, side: ClientSide) -> None:
        from fedaffect.clients.site import Site, host

        host(run_key, Site(side))

    def answer(self, message: Message, model: Any, context: Context) -> Message:
        from fedaffect.clients.app import client_app

        if model is not None:
            message.content["model"] = model
        return client_app(message, context)

    def pid(self) -> int:
        return os.getpid()


class RayGrid(SimulationGrid):
    """One node a worker process; every node can train every client.

    A Ray that this process has started before is used as it is, and left running.

    Args:
        run_key: Name of the run inside the workers.
        workers: Number of worker processes (default: CPUs of the machine or cluster).
        address: Address of a running Ray cluster, as for ``ray.init``.

    Raises:
        UsageError: E240 the cluster at ``address`` does not answer.
    """

    def __init__(
        self, run_key: str, workers: int | None = None, address: str | None = None
    ) -> None:
        self.session = RaySession(workers, address)
        import ray

        cpus = int(ray.cluster_resources().get("CPU", 1))
        count = workers or cpus
        super().__init__(run_key, tuple(range(FIRST_NODE_ID, FIRST_NODE_ID + count)))
        share = min(1.0, cpus / count)
        self._worker_class = ray.remote(num_cpus=share, max_restarts=0)(_Worker)
        self._side: Any = None
        self._actors: dict[int, Any] = {}

    def place(self, side: ClientSide) -> None:
        """Put the clients' data into the object store once; workers that live take them over."""
        import ray

        self._side = ray.put(side)
        taken = {n: a.host.remote(self.run_key, self._side) for n, a in self._actors.items()}
        for node in self.node_ids:
            try:
                ray.get(taken[node])
            except (KeyError, ray.exceptions.RayError):  # not started yet, or dead
                self._restart(node)

    def worker_pids(self) -> list[int]:
        """Return the process ids of the workers."""
        import ray

        return list(ray.get([a.pid.remote() for a in self._actors.values()]))

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Send every message to its worker and return the replies, in the order sent."""
        import ray

        waiting = list(messages)
        shared = self._put_model(waiting)
        tries = dict.fromkeys(range(len(waiting)), 1)
        pending = {self._send(m, shared): i for i, m in enumerate(waiting)}
        replies: dict[int, Message] = {}
        deadline = None if timeout is None else time.monotonic() + timeout
        while pending:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            ready, _ = ray.wait(list(pending), num_returns=1, timeout=left)
            if not ready:  # a hung worker is replaced, its clients are lost for this round
                for i in pending.values():
                    replies[i] = _lost(waiting[i], f"no answer within {timeout:g} s")
                    self._restart(waiting[i].metadata.dst_node_id)
                break
            i = pending.pop(ready[0])
            message = waiting[i]
            try:
                replies[i] = ray.get(ready[0])
            except ray.exceptions.RayTaskError as error:
                replies[i] = _lost(message, f"{type(error.cause).__name__}: {error.cause}"[:200])
            except ray.exceptions.RayError as error:  # the worker died, or was killed for memory
                self._restart(message.metadata.dst_node_id)
                if tries[i] < TRIES:
                    tries[i] += 1
                    pending[self._send(message, shared)] = i
                else:
                    replies[i] = _lost(message, f"worker died twice ({type(error).__name__})")
        return [replies[i] for i in range(len(waiting))]

    def close(self) -> None:
        """Stop the workers; stop Ray if this grid started it, and remove its temporary folder."""
        import ray

        for actor in self._actors.values():
            ray.kill(actor)
        self._actors = {}
        self.session.close()

    def _restart(self, node: int) -> None:
        """Start the worker of ``node``; end the one that it has, if any."""
        import ray

        if node in self._actors:
            ray.kill(self._actors[node])
        self._actors[node] = self._worker_class.remote(self.run_key, self._side)

    def _put_model(self, messages: list[Message]) -> Any:
        """Put the model that all messages share into the object store; take it out of them."""
        import ray

        models = [m.content["model"] for m in messages if "model" in m.content]
        if not models:
            return None
        if any(model is not models[0] for model in models):
            raise ClientsLostError("E702", "messages of one round carry different models")
        for message in messages:
            message.content = RecordDict(
                {name: r for name, r in message.content.items() if name != "model"}
            )
        return ray.put(models[0])

    def _send(self, message: Message, model: Any) -> Any:
        node = message.metadata.dst_node_id
        return self._actors[node].answer.remote(message, model, node_context(self.run_key, node))


def _lost(message: Message, why: str) -> Message:
    return Message(Error(NODE_LOST, why), reply_to=message)
