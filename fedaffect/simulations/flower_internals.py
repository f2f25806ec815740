"""The one place that touches names which Flower does not make public.

Valid for flwr 1.41. A grid of our own needs them because ``Message`` asks for the identity of a
running task, which only Flower's own programs set.
"""

from __future__ import annotations

from flwr.supercore.task_identity import TaskIdentity

SERVER_NODE_ID = 1


def adopt_task_identity() -> None:
    """Let this process create messages although no Flower program started it."""
    try:
        _ = TaskIdentity.run_id
    except RuntimeError:
        TaskIdentity.run_id = TaskIdentity.task_id = 1
        TaskIdentity.node_id = SERVER_NODE_ID
