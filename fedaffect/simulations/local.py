"""The in-process engine: one node that hosts every client, one after another. The oracle."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any

from flwr.app import Context, Message, RecordDict
from flwr.proto.node_pb2 import NodeInfo
from flwr.serverapp import Grid

from fedaffect.clients.app import client_app
from fedaffect.clients.side import ClientSide
from fedaffect.clients.site import Site, host
from fedaffect.simulations.flower_internals import adopt_task_identity


class SimulationGrid(Grid):
    """What our engines share: fixed node ids, and messages that travel only by round trip."""

    nodes_are_ours = True  # what they add up needs no check client by client

    def __init__(self, run_key: str, node_ids: tuple[int, ...]) -> None:
        adopt_task_identity()
        self.run_key = run_key
        self.node_ids = node_ids
        self.workers = len(node_ids)

    @property
    def run(self) -> Any:
        """Not kept: a simulation has no Flower run object."""
        return None

    def set_run(self, run: Any) -> None:
        """Accept and ignore a Flower run object."""

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """Return a message to a node."""
        return Message(content, dst_node_id, message_type, group_id=group_id, ttl=ttl)

    def get_node_ids(self) -> Iterable[int]:
        """Return the ids of all nodes."""
        return self.node_ids

    def get_nodes(self) -> Iterable[NodeInfo]:
        """Return all nodes."""
        return [NodeInfo(node_id=n) for n in self.node_ids]

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Refuse: use ``send_and_receive``."""
        raise TypeError("this grid answers send_and_receive only")

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Refuse: use ``send_and_receive``."""
        raise TypeError("this grid answers send_and_receive only")

    @abstractmethod
    def place(self, side: ClientSide) -> None:
        """Give the nodes their clients; replaces what they had."""

    def close(self) -> None:
        """Release what the engine holds."""


def node_context(run_key: str, node_id: int) -> Context:
    """Return the context of a node of a simulation."""
    return Context(
        run_id=1,
        node_id=node_id,
        node_config={},
        state=RecordDict(),
        run_config={"run-key": run_key},
    )


class LocalGrid(SimulationGrid):
    """One node, in this process, without Ray: for debugging, small runs and as the oracle."""

    def __init__(
        self,
        run_key: str,
        workers: int | None = None,
        address: str | None = None,
        device: str = "cpu",
    ) -> None:
        super().__init__(run_key, (2,))

    def place(self, side: ClientSide) -> None:
        """Give the node its clients."""
        host(self.run_key, Site(side))

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Answer each message in turn, in this process."""
        return [client_app(m, node_context(self.run_key, m.metadata.dst_node_id)) for m in messages]
