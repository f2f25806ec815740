"""The local engine with several worker processes: no Ray, data and model in shared memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe, wait
from multiprocessing.reduction import send_handle
from typing import Any

import cloudpickle
from flwr.app import ArrayRecord, Message

from fedaffect.clients.side import ClientSide
from fedaffect.simulations.local import LocalGrid, SimulationGrid, node_context
from fedaffect.simulations.shared_arrays import SharedArrays
from fedaffect.simulations.worker_grid import WorkerDiedError, WorkerFailedError, WorkerGrid
from fedaffect.simulations.worker_requests import (
    AnswerRequest,
    HostRequest,
    arrays_of,
    without_arrays,
)

GONE = (EOFError, OSError)  # what speaking to a process that has ended raises


@dataclass(frozen=True, eq=False)
class _Worker:
    """A worker process and the socket to it."""

    process: subprocess.Popen[bytes]
    connection: Connection

    @classmethod
    def start(cls) -> _Worker:
        """Start a process that imports what it needs and waits."""
        ours, theirs = Pipe()
        fd = theirs.fileno()
        program = f"from fedaffect.simulations.worker_process import main; main({fd})"
        where = os.pathsep.join(path for path in sys.path if path)  # finds what this one finds
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", program],
            pass_fds=[fd],
            env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": where},
        )
        theirs.close()
        return cls(process, ours)

    def stop(self) -> None:
        """End the process, whatever it does."""
        self.connection.close()
        self.process.kill()
        self.process.wait()

    def send(self, what: HostRequest | AnswerRequest, shared: SharedArrays | None) -> None:
        """Send a request, and the memory that it speaks of; a dead worker shows on answering."""
        try:
            self.connection.send_bytes(cloudpickle.dumps(what))  # classes of scripts travel, too
            if shared is not None:
                send_handle(self.connection, shared.fd, self.process.pid)
        except GONE:
            pass

    def answer(self) -> Any:
        """Wait for the answer to the last request.

        Raises:
            WorkerDiedError: the process has ended.
            WorkerFailedError: it could not do what was asked.
        """
        try:
            well, answer = self.connection.recv()
        except GONE as error:
            code = self.process.wait()
            raise WorkerDiedError(f"exit status {code}") from error
        if not well:
            raise WorkerFailedError(answer)
        return answer


def local_engine(
    run_key: str, workers: int | None = None, address: str | None = None, device: str = "cpu"
) -> SimulationGrid:
    """In this process, or in ``--workers`` processes of this machine; without Ray.

    With ``device`` cuda all of them share one GPU, PyTorch's current one.
    """
    if workers is None or workers == 1:
        return LocalGrid(run_key)
    return ProcessGrid(run_key, workers)


class ProcessGrid(WorkerGrid):
    """One process a node, on this machine.

    Args:
        run_key: Name of the run inside the workers.
        workers: Number of worker processes.
    """

    def __init__(self, run_key: str, workers: int) -> None:
        super().__init__(run_key, workers)
        self._workers = {node: _Worker.start() for node in self.node_ids}
        self._side: ClientSide | None = None
        self._data: SharedArrays | None = None
        self._model: SharedArrays | None = None

    def place(self, side: ClientSide) -> None:
        """Write the clients' data to shared memory once; every worker reads them there."""
        if self._data is not None:
            self._data.close()
        self._data, self._side = SharedArrays(arrays_of(side)), without_arrays(side)
        for node in self.node_ids:
            self._host(node)
        for node in self.node_ids:
            if not self._ready(node):
                self._restart(node)

    def worker_pids(self) -> list[int]:
        """Return the process ids of the workers."""
        return [worker.process.pid for worker in self._workers.values()]

    def close(self) -> None:
        """Stop the workers and let go of the shared memory."""
        for worker in self._workers.values():
            worker.stop()
        for shared in (self._data, self._model):
            if shared is not None:
                shared.close()
        self._workers, self._data, self._model = {}, None, None

    def _host(self, node: int) -> None:
        assert self._side is not None and self._data is not None  # placed before anything is sent
        request = HostRequest(self.run_key, self._side, tuple(self._data.places))
        self._workers[node].send(request, self._data)

    def _ready(self, node: int) -> bool:
        """Wait until a worker has its clients; return whether it lives."""
        try:
            self._workers[node].answer()
        except WorkerFailedError:  # it will say so again to whoever asks for something
            pass
        except WorkerDiedError:
            return False
        return True

    def _restart(self, node: int) -> None:
        self._workers[node].stop()
        self._workers[node] = _Worker.start()
        self._host(node)
        self._ready(node)

    def _share(self, model: ArrayRecord) -> SharedArrays:
        if self._model is not None:
            self._model.close()
        self._model = SharedArrays(model.to_numpy_ndarrays())
        return self._model

    def _send(self, message: Message, model: SharedArrays | None) -> _Worker:
        node = message.metadata.dst_node_id
        places = None if model is None else tuple(model.places)
        request = AnswerRequest(message, node_context(self.run_key, node), places)
        self._workers[node].send(request, model)
        return self._workers[node]

    def _first(self, pending: Sequence[_Worker], timeout: float | None) -> _Worker | None:
        ready = wait([worker.connection for worker in pending], timeout)
        return next((w for w in pending if w.connection in ready), None)

    def _answer(self, ready: _Worker) -> Message:
        reply: Message = ready.answer()
        return reply
