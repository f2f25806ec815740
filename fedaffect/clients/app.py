"""The Flower ClientApp: records in, local training, records out. The same object everywhere."""

from __future__ import annotations

from functools import lru_cache

from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from fedaffect.build import build
from fedaffect.clients.site import Site, client_side, hosted
from fedaffect.config import RunConfig

client_app = ClientApp()


@client_app.query()
def hosts(message: Message, context: Context) -> Message:
    """Answer which clients this node can train in a fold."""
    ids = _site(context).hosts(int(message.content["config"]["fold"]))  # type: ignore[arg-type]
    return Message(RecordDict({"config": ConfigRecord({"client-ids": list(ids)})}), reply_to=message)


@client_app.train()
def train(message: Message, context: Context) -> Message:
    """Train the clients that the message names and answer with their clipped updates."""
    config = message.content["config"]
    params = message.content["model"].to_numpy_ndarrays()[0]
    site = _site(context)
    reply = site.train(
        params,
        int(config["fold"]),  # type: ignore[arg-type]
        int(config["server-round"]),  # type: ignore[arg-type]
        [int(i) for i in config["client-ids"]],  # type: ignore[union-attr]
    )
    about = ConfigRecord(
        {
            "fold": config["fold"],
            "server-round": config["server-round"],
            "layout": site.layout.digest,
            "client-ids": list(reply.client_ids),
            "failed-ids": list(reply.failed),
            "failed-why": list(reply.failed.values()),
        }
    )
    content = RecordDict(
        {
            "updates": ArrayRecord([reply.updates]),
            "metrics": MetricRecord({"loss": list(reply.losses)}),
            "config": about,
        }
    )
    return Message(content, reply_to=message)


def _site(context: Context) -> Site:
    """Return what this process hosts: placed here by an engine, or built from the run's settings."""
    return hosted(str(context.run_config.get("run-key", ""))) or _built(
        str(context.run_config["fedaffect"])
    )


@lru_cache(maxsize=1)
def _built(config_json: str) -> Site:
    return Site(client_side(build(RunConfig.model_validate_json(config_json))))
