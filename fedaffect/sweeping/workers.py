"""Independent jobs over worker processes of Ray, one thread each: any number, the same results."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import Any, TypeVar

from fedaffect.errors import FedaffectError
from fedaffect.one_thread import one_thread

Task = TypeVar("Task")
Result = TypeVar("Result")


def carry_out(
    work: Callable[[Task], Result], tasks: Sequence[Task], jobs: int
) -> Generator[tuple[Task, Result | FedaffectError], None, None]:
    """Yield every task with its result, in the order in which they end.

    With one job, or one task, the work is done in this process, in order; else by as many worker
    processes of Ray as there are jobs. They get this process's ``FEDAFFECT_*`` variables and
    working folder. Closing the iterator ends the workers.

    Args:
        work: A function of a module, as it is imported by the workers. It should return its
            failures; what it raises here ends the iteration, what it raises there is yielded.
        tasks: Its arguments; they can be pickled.
        jobs: Number of tasks at a time.
    """
    if min(jobs, len(tasks)) <= 1:
        for task in tasks:
            yield task, alone(work, task)
        return
    from fedaffect.engine import take_back_signals
    from fedaffect.simulations.ray_session import RaySession

    with closing(RaySession(min(jobs, len(tasks)))):
        take_back_signals()
        yield from _by_ray(work, tasks)


def alone(work: Callable[[Task], Result], task: Task) -> Result:
    """Return ``work(task)``, computed by one thread: sums do not depend on the number of CPUs."""
    with one_thread():
        return work(task)


def _by_ray(
    work: Callable[[Task], Result], tasks: Sequence[Task]
) -> Generator[tuple[Task, Result | FedaffectError], None, None]:
    import ray

    remote = ray.remote(num_cpus=1, max_retries=0)(_as_here)
    here = _environment(), os.getcwd()
    pending = {remote.remote(work, task, *here): task for task in tasks}
    try:
        while pending:
            ready, _ = ray.wait(list(pending), num_returns=1)
            task = pending.pop(ready[0])
            yield task, _result(ray, ready[0])
    finally:
        for left in pending:
            ray.cancel(left, force=True)


def _as_here(
    work: Callable[[Task], Result], task: Task, environment: dict[str, str], folder: str
) -> Result:
    os.chdir(folder)
    os.environ.update(environment)
    return alone(work, task)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("FEDAFFECT_")}


def _result(ray: Any, reference: Any) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        cause = error.cause
        if isinstance(cause, FedaffectError):
            return cause
        return FedaffectError("E100", f"unexpected {type(cause).__name__}: {cause}"[:300])
    except ray.exceptions.RayError as error:
        return FedaffectError(
            "E100",
            f"a worker process died ({type(error).__name__})",
            do="if memory ran out, go on with fewer --jobs",
        )
