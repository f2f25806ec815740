"""Computing with one thread: sums then have one order, on any number of CPUs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold PyTorch, BLAS and OpenMP to one thread within."""
    import sklearn.neighbors  # noqa: F401 - loads the libraries whose threads are limited
    import torch
    from threadpoolctl import threadpool_limits

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(threads)
