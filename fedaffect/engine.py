"""The engine of a run: started while the data are prepared, closed whatever happens."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from fedaffect import registry
from fedaffect.outline import Outline
from fedaffect.simulations.local import SimulationGrid


@contextmanager
def starting(planned: Outline, run_id: str) -> Iterator[Callable[[], SimulationGrid]]:
    """Start the engine of a run in the background; close it at the end.

    Args:
        planned: The outline of the run.
        run_id: Id of the run.

    Yields:
        A function that waits for the engine and returns it.
    """
    with ThreadPoolExecutor(1) as pool:
        engine = pool.submit(_start, planned, run_id)
        try:
            yield lambda: _ready(engine)
        finally:
            if engine.exception() is None:
                engine.result().close()


def _start(planned: Outline, run_id: str) -> SimulationGrid:
    run = planned.config.run
    engine = registry.resolve("engine", run.engine)
    grid: SimulationGrid = engine(run_id, run.workers, run.ray_address, run.device)
    return grid


def _ready(engine: Future[SimulationGrid]) -> SimulationGrid:
    grid = engine.result()
    take_back_signals()
    return grid


def take_back_signals() -> None:
    """Install Python's handlers again: Ray's own would end the process with a stack dump."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            if (handler := signal.getsignal(number)) is not None:
                signal.signal(number, handler)
