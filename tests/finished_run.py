"""The folder of a finished private run, written by hand from numbers that are known."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from fedaffect.privacy.ledger import Charge, Ledger, Terms
from fedaffect.privacy.noise import SecretNoiseKey
from fedaffect.run_folder import write_manifest

RUN = "calm-heron-7f3a"
KEY = SecretNoiseKey(bytes(32))
# Three Gaussian releases for (5, 1e-5): z = sqrt(3) z(5, 1e-5), sigma by Balle & Wang 2018.
TERMS = Terms(
    mechanism="gaussian",
    noise="gaussian",
    z=1.5447611485543364,
    rate=1.0,
    adjacency="zero_out",
    unit="client",
    where="server",
    blocks=("shared", "task:stress"),
    clear=False,
    eps=5.0,
    delta=1e-5,
)
FORMAL = {
    "status": "FORMAL",
    "mechanism": "gaussian",
    "unit": "client",
    "adjacency": "zero_out",
    "where": "server",
    "eps": 5.0,
    "delta": 1e-5,
    "mu": 1.1212418238184043,
    "z": 1.5447611485543364,
    "accountant": {
        "name": "closed-form Gaussian",
        "cross_check": {"name": "RDP", "eps": 5.395585844374458},
    },
    "releases_done": 3,
    "noise_key_kind": "secret",
}
NONE = {
    **FORMAL,
    **dict.fromkeys(("eps", "delta", "mu", "accountant")),
    "status": "NONE",
}


def counted(terms: Terms, releases: int) -> dict[str, Any]:
    """Return eps and accountant of Gaussian releases without sampling, counted independently."""
    from dp_accounting import GaussianDpEvent
    from dp_accounting.rdp import RdpAccountant
    from scipy.optimize import brentq
    from scipy.stats import norm

    mu, delta = releases**0.5 / terms.z, terms.delta

    def excess(eps: float) -> float:  # Balle & Wang 2018, theorem 8
        first = norm.cdf(mu / 2 - eps / mu)
        return float(first - np.exp(eps) * norm.cdf(-mu / 2 - eps / mu) - delta)

    rdp = RdpAccountant(np.arange(1.5, 60, 0.01))
    rdp.compose(GaussianDpEvent(terms.z), releases)
    return {
        "eps": float(brentq(excess, 0, 100, xtol=1e-12)),
        "accountant": {
            "name": "closed-form Gaussian",
            "cross_check": {"name": "RDP", "eps": float(rdp.get_epsilon(delta))},
        },
    }


@dataclass(frozen=True)
class Finished:
    """A run folder and the state folder of its site."""

    folder: Path
    home: Path

    @property
    def ledger(self) -> Path:
        """The ledger of the site."""
        return self.home / "ledger" / "synthetic.jsonl"

    def lines(self) -> list[str]:
        """Lines of the excerpt."""
        return (self.folder / "ledger_excerpt.jsonl").read_text().splitlines()

    def forge(self, *, excerpt: Sequence[str] | None = None, **fields: Any) -> None:
        """Change the excerpt or fields of the statement, and write the hashes anew."""
        if excerpt is not None:
            text = "".join(line + "\n" for line in excerpt)
            (self.folder / "ledger_excerpt.jsonl").write_text(text)
        path = self.folder / "privacy.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))
        write_manifest(self.folder, RUN)


def finished(
    at: Path,
    statement: dict[str, Any] | None = None,
    terms: Terms = TERMS,
    clients: Sequence[tuple[int, ...] | None] = ((0, 1), (0, 1), (0, 1)),
    others: bool = True,
) -> Finished:
    """Charge one release for each of ``clients`` and write the folder of the run.

    Args:
        at: Where the run folder and the state folder go.
        statement: ``privacy.json`` without the head of the ledger.
        terms: Terms of the run.
        clients: Who was drawn for each release.
        others: Whether another run writes between the lines of this one.
    """
    folder, home = at / "run", at / "home"
    (folder / "checkpoints").mkdir(parents=True)
    with Ledger.open(home, "synthetic", KEY) as ledger:
        for release, drawn in enumerate(clients, 1):
            charge = Charge(release, b"sum", "server", drawn, terms)
            ledger.charge(RUN, [charge], len(clients))
            if others and release == 2:
                ledger.charge("other-run", [charge], 1)
            ledger.released(RUN, [charge])
        said = {**(statement or FORMAL), "ledger_head": ledger.head}
        lines = ledger.excerpt(RUN)
        ledger.charge("later-run", [Charge(1, b"sum", "server", None, terms)], 1)
    if lines:
        (folder / "ledger_excerpt.jsonl").write_text("".join(line + "\n" for line in lines))
    (folder / "data_manifest.json").write_text('{"dataset": "synthetic"}')
    (folder / "checkpoints" / "1.json").write_text("{}")
    (folder / "run.lock").touch()
    metadata = {"run_id": RUN, "privacy_status": said["status"]}
    metadata |= {name: str(said[name]) for name in ("eps", "delta", "unit")}
    save_file({"w": np.zeros(3)}, folder / "model.safetensors", metadata)
    run = Finished(folder, home)
    (folder / "privacy.json").write_text(json.dumps(said))
    write_manifest(folder, RUN)
    return run
