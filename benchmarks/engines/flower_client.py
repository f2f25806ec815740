"""The ClientApp of the Flower peer: written as Flower's own examples are, one client a message."""

from __future__ import annotations

from functools import cache

import torch
from engines.work import Tensors, Work, batch_order, network, tensors, train_epoch
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from fedaffect.models.stress_identity_cnn import StressIdentityCNN

app = ClientApp()


@cache
def resident(text: str) -> tuple[Work, StressIdentityCNN, dict[int, Tensors]]:
    """Return the work with its network and everyone's windows: made once a process."""
    torch.set_num_threads(1)
    work = Work.read(text)
    return work, network(work), tensors(work, range(work.clients))


@app.train()
def train(message: Message, context: Context) -> Message:
    """Train the client of a message for one local epoch and send its model back."""
    config = message.content["config"]
    work, model, data = resident(str(config["work"]))
    client = int(context.node_config["partition-id"])
    model.load_state_dict(message.content["arrays"].to_torch_state_dict())
    order = batch_order(work, client, int(config["server-round"]))
    train_epoch(model, data[client], order, work)
    records = {
        "arrays": ArrayRecord(model.state_dict()),
        "metrics": MetricRecord({"num-examples": len(order)}),
    }
    return Message(RecordDict(records), reply_to=message)
