"""The Flower ServerApp: runs the round loop over whichever grid carries the messages."""

from __future__ import annotations

from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from fedaffect.build import build
from fedaffect.config import RunConfig
from fedaffect.errors import PrivacyError
from fedaffect.privacy.noise import TestNoiseKey
from fedaffect.run_folder import append_round, save_model
from fedaffect.server.training import Training

server_app = ServerApp()
_posted: dict[str, Training] = {}


def post(run_key: str, training: Training) -> None:
    """Leave ``training`` for the next call of the app under ``run_key`` in this process."""
    _posted.clear()
    _posted[run_key] = training


@server_app.main()
def main(grid: Grid, context: Context) -> None:
    """Run what was posted in this process, or what the run's settings describe.

    The second way is Flower's own ``flwr run``; it leaves ``model.safetensors`` and
    ``rounds.jsonl`` in the configured ``run.out``.
    """
    posted = _posted.pop(str(context.run_config.get("run-key", "")), None)
    if posted is not None:
        posted.run(grid)
        return
    config = RunConfig.model_validate_json(str(context.run_config["fedaffect"]))
    out = Path(config.run.out or "flower-run")
    out.mkdir(parents=True, exist_ok=True)
    training = Training(
        build(config),
        key=_test_key(config),
        on_round=lambda record: append_round(out, record),
        evaluate_rounds=False,
    )
    training.run(grid)
    save_model(
        out, training.params[0].astype(config.run.dtype), training.experiment.factory.layout, {}
    )


def _test_key(config: RunConfig) -> TestNoiseKey | None:
    """Return the reproducible test key; a real key and ledger belong to ``fedaffect simulate``.

    Raises:
        PrivacyError: E410 DP with a secret key was asked for.
    """
    if config.dp.mechanism == "none":
        return None
    if config.dp.unsafe_test_noise is None:
        raise PrivacyError(
            "E410",
            "flwr run has no privacy ledger here, so it makes no private releases",
            do="use fedaffect simulate, or --unsafe-test-noise KEY for a conformance test",
        )
    return TestNoiseKey(config.dp.unsafe_test_noise)
