"""A worker process of the local engine.

It keeps the data and the model of its node, answers one message after another over the socket
that it inherits, and ends when the other end is closed. Started as a program of its own, so that
neither a script's main module nor threads of the parent come along.
"""

from __future__ import annotations

import os
import signal
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle
from typing import Any

from flwr.app import ArrayRecord

from fedaffect.simulations.shared_arrays import mapped
from fedaffect.simulations.worker_requests import AnswerRequest, HostRequest, with_arrays


def main(fd: int) -> None:
    """Answer what comes over the socket ``fd``."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to hear
    connection = Connection(fd)
    try:
        _warm_up()
        broken = "nothing is placed yet"
        while True:
            request = connection.recv()
            if isinstance(request, HostRequest):
                broken = _host(request, recv_handle(connection))
                connection.send((not broken, broken))
                continue
            if request.model is not None:
                model = ArrayRecord(mapped(recv_handle(connection), request.model))
                request.message.content["model"] = model
            connection.send((False, broken) if broken else _answer(request))
    except (EOFError, OSError):  # the parent is gone, or wants nothing any more
        os._exit(0)


def _warm_up() -> None:
    """Import what answering takes, while the parent prepares the data."""
    import torch

    import fedaffect.clients.app  # noqa: F401
    from fedaffect.simulations.flower_internals import adopt_task_identity

    torch.set_num_threads(1)
    adopt_task_identity()


def _host(request: HostRequest, fd: int) -> str:
    """Take over the clients of a node; return what went wrong, if anything."""
    from fedaffect.clients.site import Site, host

    try:
        host(request.run_key, Site(with_arrays(request.side, iter(mapped(fd, request.places)))))
    except Exception as error:  # told to whoever asks the node for something
        return f"{type(error).__name__}: {error}"
    return ""


def _answer(request: AnswerRequest) -> tuple[bool, Any]:
    """Return whether all went well, and the reply, or the error in words."""
    from fedaffect.clients.app import client_app

    try:
        return True, client_app(request.message, request.context)
    except Exception as error:
        return False, f"{type(error).__name__}: {error}"
