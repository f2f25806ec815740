"""What every test shares: a state folder of its own, and no Flower program that phones home."""

import os
import tempfile
from collections.abc import Iterator

import pytest

os.environ["FLWR_TELEMETRY_ENABLED"] = "0"  # Flower reads these when it is first imported
os.environ["FLWR_DISABLE_UPDATE_CHECK"] = "1"
os.environ.setdefault("FLWR_HOME", os.path.join(tempfile.gettempdir(), "fedaffect-tests-flwr"))


@pytest.fixture(autouse=True, scope="session")
def state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep caches, ledgers and keys of the tests away from the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEDAFFECT_HOME", str(tmp_path_factory.mktemp("state")))
        yield
