"""The Flower ClientApp: records in, local training, records out. The same object everywhere."""

from __future__ import annotations

from functools import lru_cache
from typing import cast

from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from fedaffect.build import build
from fedaffect.clients.exchange import TrainRequest
from fedaffect.clients.side import client_side
from fedaffect.clients.site import Site, hosted
from fedaffect.config import RunConfig

client_app = ClientApp()


@client_app.query()
def hosts(message: Message, context: Context) -> Message:
    """Answer which clients this node can train in a fold."""
    fold = cast(int, message.content.config_records["config"]["fold"])
    ids = _site(context).hosts(fold)
    return Message(
        RecordDict({"config": ConfigRecord({"client-ids": list(ids)})}), reply_to=message
    )


@client_app.train()
def train(message: Message, context: Context) -> Message:
    """Train the clients that the message names; answer with clipped updates or their sums."""
    config = message.content.config_records["config"]
    (params,) = message.content.array_records["model"].to_numpy_ndarrays()
    request = TrainRequest(
        fold=cast(int, config["fold"]),
        server_round=cast(int, config["server-round"]),
        release=cast(int, config["release"]),
        client_ids=tuple(cast(list[int], config["client-ids"])),
        bounds=tuple(cast(list[float], config["clip-bounds"])),
        stacks=tuple(cast(list[int], config["stacks"])),
        shares=tuple(cast(list[int], config["shares"])),
    )
    site = _site(context)
    reply = site.train(params, request)
    about = ConfigRecord(
        {
            "ticket": config["ticket"],
            "blocks": site.blocks.digest,
            "client-ids": list(reply.client_ids),
            "failed-ids": list(reply.failed),
            "failed-why": list(reply.failed.values()),
            "refused-ids": list(reply.refused),
            "refused-why": list(reply.refused.values()),
        }
    )
    content = RecordDict(
        {
            "updates": ArrayRecord([reply.updates]),
            "metrics": MetricRecord({"loss": list(reply.losses), "within": list(reply.within)}),
            "config": about,
        }
    )
    return Message(content, reply_to=message)


def _site(context: Context) -> Site:
    """Return what an engine placed in this process, or what the run's settings describe."""
    return hosted(str(context.run_config.get("run-key", ""))) or _built(
        str(context.run_config["fedaffect"])
    )


@lru_cache(maxsize=1)
def _built(config_json: str) -> Site:
    return Site(client_side(build(RunConfig.model_validate_json(config_json))))
