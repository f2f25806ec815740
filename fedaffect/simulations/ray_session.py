"""Ray while it is needed: started quietly or joined at an address; stopped if started here."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import socket
import sys
import tempfile
from urllib.parse import urlsplit

from fedaffect.device import gpu_count
from fedaffect.errors import UsageError

KNOCK_S = 5.0


class RaySession:
    """Ray, up until ``close``. A Ray that this process has started before is left running.

    ``folder`` is where it keeps its files, for us alone; ``None`` where it is not ours.

    Args:
        workers: CPUs that Ray shares out (default: those of the machine).
        address: Address of a running Ray cluster, as for ``ray.init``.
        device: Where workers compute; with ``cuda`` Ray shares out the GPUs that PyTorch finds.

    Raises:
        UsageError: E240 the cluster at ``address`` does not answer.
    """

    def __init__(
        self, workers: int | None = None, address: str | None = None, device: str = "cpu"
    ) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        os.environ.setdefault("RAY_DEDUP_LOGS", "0")
        if address is None:
            _require_token()
        logging.getLogger("ray._private.worker").setLevel(logging.ERROR)
        import ray

        self.folder: str | None = None
        self._owns_ray = not ray.is_initialized()
        if not self._owns_ray:
            return
        quiet = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}
        if address:
            try:
                _knock(address)
                ray.init(address=address, **quiet)
            except (OSError, ValueError, RuntimeError) as error:
                raise UsageError(
                    "E240",
                    f"--ray-address {address} does not answer: {type(error).__name__}",
                    do="start the cluster first, or leave --ray-address out",
                ) from error
            return
        # Short, as socket paths end at 107 bytes; Ray opens its folder to all, so ours closes it.
        self.folder = tempfile.mkdtemp(prefix="fa-")
        ray.init(
            num_cpus=workers or os.cpu_count(),
            num_gpus=gpu_count() if device == "cuda" else None,
            include_dashboard=False,
            object_store_memory=512 * 1024**2,
            _temp_dir=os.path.join(self.folder, "r"),
            **quiet,
        )

    def close(self) -> None:
        """Stop Ray if this session started it, and remove its temporary folder."""
        import ray

        if self._owns_ray:
            ray.shutdown()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)


def _require_token() -> None:
    """Let a Ray that is started here answer only who knows a secret of this process.

    Its ports are open to the network, and whoever reaches one could run code. Its processes
    inherit the secret; it is in no file and no command line. Ray reads the mode when it is
    imported: whoever did that before decides for himself.
    """
    if "RAY_AUTH_MODE" not in os.environ and "ray" not in sys.modules:
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def _knock(address: str) -> None:
    """Raise ``OSError`` at once where nobody listens; Ray itself would try for minutes."""
    place = urlsplit(address if "://" in address else f"ray://{address}")
    if place.hostname and place.port:
        socket.create_connection((place.hostname, place.port), KNOCK_S).close()
