"""The Ray engine: long-lived single-thread actors, the model put once a round.

Works on one machine or, with an address, on a cluster that already runs.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from flwr.app import Context, Message

from fedaffect.clients.side import ClientSide
from fedaffect.device import no_gpu
from fedaffect.simulations.local import node_context
from fedaffect.simulations.ray_session import RaySession
from fedaffect.simulations.worker_grid import WorkerDiedError, WorkerFailedError, WorkerGrid


class _Worker:
    """One node: a process that keeps its model and data, and answers messages."""

    def __init__(self) -> None:
        """Import what answering takes, while the driver prepares the data."""
        import fedaffect.clients.app  # noqa: F401
        from fedaffect.simulations.flower_internals import adopt_task_identity

        adopt_task_identity()

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


def gpu_share(workers: int, gpus: int) -> float:
    """Return the share of one GPU that each of ``workers`` gets, so that all find a place.

    A share lies on one GPU: of three workers two have to share one of two. Ray counts in steps
    of 0.0001.
    """
    on_one = -(-workers // gpus)
    return 10_000 // on_one / 10_000


class RayGrid(WorkerGrid):
    """One actor a node. A Ray that this process has started before is used, and left running.

    Args:
        run_key: Name of the run inside the workers.
        workers: Number of worker processes (default: CPUs of the machine or cluster, or its GPUs
            where clients train on them).
        address: Address of a running Ray cluster, as for ``ray.init``.
        device: Where clients train; with ``cuda`` every worker has a GPU or a share of one.

    Raises:
        UsageError: E240 the cluster at ``address`` does not answer; E241 it has no GPU.
    """

    def __init__(
        self,
        run_key: str,
        workers: int | None = None,
        address: str | None = None,
        device: str = "cpu",
    ) -> None:
        self.session = RaySession(workers, address, device)
        import ray

        there = ray.cluster_resources()
        cpus, gpus = int(there.get("CPU", 1)), int(there.get("GPU", 0))
        if device == "cuda" and not gpus:
            self.session.close()
            raise no_gpu("Ray knows of no GPU")
        count = workers or (gpus if device == "cuda" else cpus)
        super().__init__(run_key, count)
        self._worker_class = ray.remote(
            num_cpus=min(1.0, cpus / count),
            num_gpus=gpu_share(count, gpus) if device == "cuda" else None,
            max_restarts=0,
        )(_Worker)
        self._side: Any = None
        self._actors = {node: self._worker_class.remote() for node in self.node_ids}

    def place(self, side: ClientSide) -> None:
        """Put the clients' data into the object store once; workers that live take them over."""
        import ray

        self._side = ray.put(side)
        taken = {node: self._host(node) for node in self.node_ids}
        for node, hosted in taken.items():
            try:
                ray.get(hosted)
            except ray.exceptions.RayError:
                self._restart(node)

    def worker_pids(self) -> list[int]:
        """Return the process ids of the workers."""
        import ray

        return list(ray.get([a.pid.remote() for a in self._actors.values()]))

    def close(self) -> None:
        """Stop the workers; stop Ray if this grid started it, and remove its temporary folder."""
        import ray

        for actor in self._actors.values():
            ray.kill(actor)
        self._actors = {}
        self.session.close()

    def _restart(self, node: int) -> None:
        import ray

        ray.kill(self._actors[node])
        self._actors[node] = self._worker_class.remote()
        self._host(node)

    def _host(self, node: int) -> Any:
        """Give a worker its clients, which it has before it answers what is sent later."""
        return self._actors[node].host.remote(self.run_key, self._side)

    def _share(self, model: Any) -> Any:
        import ray

        return ray.put(model)

    def _send(self, message: Message, model: Any) -> Any:
        node = message.metadata.dst_node_id
        return self._actors[node].answer.remote(message, model, node_context(self.run_key, node))

    def _first(self, pending: Sequence[Any], timeout: float | None) -> Any:
        import ray

        ready, _ = ray.wait(list(pending), num_returns=1, timeout=timeout)
        return ready[0] if ready else None

    def _answer(self, ready: Any) -> Message:
        import ray

        try:
            reply: Message = ray.get(ready)
        except ray.exceptions.RayTaskError as error:
            raise WorkerFailedError(f"{type(error.cause).__name__}: {error.cause}") from error
        except ray.exceptions.RayError as error:
            raise WorkerDiedError(type(error).__name__) from error
        return reply
