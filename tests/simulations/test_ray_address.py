"""A Ray cluster that is not there is reported at once; no Ray is started for these tests."""

import socket
import time

import pytest

from fedaffect.errors import UsageError
from fedaffect.simulations.ray import RayGrid


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://127.0.0.1:{}", "127.0.0.1:99999{}"])
def test_cluster_that_does_not_answer(form: str) -> None:
    address = form.format(closed_port())
    started = time.monotonic()
    with pytest.raises(UsageError, match="does not answer") as caught:
        RayGrid("run", 1, address)
    assert caught.value.code == "E240"
    assert address in caught.value.message
    assert time.monotonic() - started < 20  # Ray alone tried for more than three minutes
