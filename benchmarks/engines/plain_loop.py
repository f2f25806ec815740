"""The floor: the work as one would write it for oneself in PyTorch, in one process or in several.

Usage: ``python -m engines.plain_loop WORKERS OWN WORK``; ``reference_work.py`` starts it. Of the
package it uses flat parameters and the streams of random numbers, and where ``OWN`` is 1 its
network; else the network is of PyTorch's layers.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from multiprocessing.connection import Connection

import numpy as np
import torch
from engines.stopwatch import Stopwatch
from engines.work import Work, batch_order, network, tensors, train_epoch

from fedaffect.params import read_flat, write_flat

Share = Callable[[torch.Tensor, int], torch.Tensor]


def share_of(work: Work, clients: Sequence[int], own: bool) -> Share:
    """Return what trains ``clients`` from parameters (d,) in a round: the sum of their updates.

    Every update counts as often as its client has windows. The sum is in float64, so that it does
    not depend on who trains whom.
    """
    torch.set_num_threads(1)
    model, data = network(work, own), tensors(work, clients)

    def train(start: torch.Tensor, server_round: int) -> torch.Tensor:
        total = torch.zeros(len(start), dtype=torch.float64)
        for client in clients:
            order = batch_order(work, client, server_round)
            write_flat(model, start)
            train_epoch(model, data[client], order, work)
            total += (read_flat(model) - start) * len(order)
        return total

    return train


def answer(work: Work, clients: Sequence[int], own: bool, asked: Connection) -> None:
    """Train ``clients`` whenever the other end of ``asked`` sends parameters, until it closes."""
    train = share_of(work, clients, own)
    asked.send(True)
    while True:
        try:
            start, server_round = asked.recv()
        except EOFError:
            return
        asked.send(train(torch.from_numpy(start), server_round).numpy())


def together(shares: Sequence[Connection]) -> Share:
    """Return what lets the processes at the other ends train, and adds up what they return."""

    def train(start: torch.Tensor, server_round: int) -> torch.Tensor:
        for share in shares:
            share.send((start.numpy(), server_round))
        return torch.from_numpy(np.sum([share.recv() for share in shares], axis=0))

    return train


def main(workers: int, own: bool, work: Work) -> None:
    watch = Stopwatch()
    initial = read_flat(network(work))
    with ExitStack() as open_ends:
        train = _start(workers, own, work, open_ends)
        params = initial.double()
        for server_round in range(1, work.rounds + 1):
            watch.begin()
            params = params + train(params.float(), server_round) / sum(work.sizes)
            watch.end()
            watch.report((params - initial).numpy())


def _start(workers: int, own: bool, work: Work, open_ends: ExitStack) -> Share:
    """Return what trains everyone, in this process or in ``workers`` others."""
    if workers == 1:
        return share_of(work, range(work.clients), own)
    spawn = multiprocessing.get_context("spawn")  # torch runs here already
    ends = []
    for number in range(workers):
        ours, theirs = spawn.Pipe()
        clients = range(number, work.clients, workers)
        spawn.Process(target=answer, args=(work, clients, own, theirs)).start()
        theirs.close()
        open_ends.callback(ours.close)
        ends.append(ours)
    for end in ends:
        end.recv()  # it has its data
    return together(ends)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2] == "1", Work.read(sys.argv[3]))
