"""Who trains in a round, on which node, side by side with whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fedaffect.errors import ClientsLostError

Stack = tuple[int, ...]  # ids of clients that train side by side
Share = tuple[Stack, ...]  # stacks whose contributions are added up before they meet the others
SHARES = 64  # of a round at most: sums take as much memory, however many clients


@dataclass(frozen=True)
class Cohort:
    """Who trains in a round.

    Args:
        chosen: Ids of the clients.
        windows: Number of training windows of every client, chosen or not.
        asked: Node id to the shares that it trains.
    """

    chosen: tuple[int, ...]
    windows: Sequence[int]
    asked: Mapping[int, Sequence[Share]]

    @property
    def clients(self) -> dict[int, list[int]]:
        """Node id to the clients that it trains."""
        return {
            node: sorted(client for share in shares for client in clients_of(share))
            for node, shares in self.asked.items()
        }


def clients_of(share: Share) -> tuple[int, ...]:
    """Return the clients of a share, in the order in which they are added up."""
    return tuple(client for stack in share for client in stack)


def assign(
    chosen: Sequence[int], windows: Sequence[int], hosts: Mapping[int, Sequence[int]], size: int = 1
) -> dict[int, list[Share]]:
    """Return node id to the shares it trains: largest first, to the least loaded host.

    Clients of one share are about as large as each other. Stacks and shares do not depend on how
    many nodes there are, where every node hosts everyone.

    Args:
        chosen: Ids of the clients to train.
        windows: Number of training windows of every client.
        hosts: Node id to the clients that it can train.
        size: Most clients in a stack.

    Raises:
        ClientsLostError: E701 a chosen client is hosted nowhere.
    """
    load = dict.fromkeys(sorted(hosts), 0)
    asked: dict[int, list[Share]] = {}
    shares = _shares(chosen, windows, hosts, size)
    work = {share: sum(windows[client] for client in clients_of(share)) for share in shares}
    for share in sorted(shares, key=lambda s: (-work[s], s)):
        node = min(shares[share], key=lambda n: (load[n], n))
        load[node] += work[share]
        asked.setdefault(node, []).append(share)
    return {node: sorted(mine) for node, mine in sorted(asked.items())}


def _shares(
    chosen: Sequence[int], windows: Sequence[int], hosts: Mapping[int, Sequence[int]], size: int
) -> dict[Share, tuple[int, ...]]:
    """Return the shares, each with the nodes that host all of it."""
    hosted = {node: set(ids) for node, ids in hosts.items()}
    alike: dict[tuple[int, ...], list[int]] = {}
    for client in sorted(chosen, key=lambda c: (-windows[c], c)):
        nodes = tuple(node for node, ids in sorted(hosted.items()) if client in ids)
        if not nodes:
            raise ClientsLostError("E701", f"client {client} is hosted by no node")
        alike.setdefault(nodes, []).append(client)
    shares: dict[Share, tuple[int, ...]] = {}
    for nodes, clients in alike.items():
        stacks = [tuple(clients[at : at + size]) for at in range(0, len(clients), size)]
        many = -(-len(stacks) // SHARES)
        shares |= {tuple(stacks[at : at + many]): nodes for at in range(0, len(stacks), many)}
    return shares
