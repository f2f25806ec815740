"""The cells of the paper: which trainings its section IV asks for, and those set beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fedaffect.config import RunConfig
from fedaffect.reproduce.cell import Cell
from fedaffect.reproduce.setting import Setting
from fedaffect.reproduce.study import Options

PRINTED_SETTING = Setting(lr=0.0005, momentum=0.0, max_grad_norm=None)
SIGMAS = (0.1, 0.3, 0.6)
BUDGETS = (1, 5, 15, 50)
CLIENTS = (5, 10, 20)
LAYERS = {
    "all": "all layers",
    "shared": "shared layers",
    "task": "both heads",
    "task:identity": "identity head",
}
MECHANISMS = {
    "laplace": "Laplace",
    "gaussian1": "Gaussian 1",
    "gaussian1-as-printed": "Gaussian 1 as printed",
    "gaussian2": "Gaussian 2",
}
HEAD_KEPT = {"dp.blocks": {"task:identity": "keep_local"}}
QUICK_NOISE = {
    ("plain", 0.1, "shared"),
    ("plain", 0.3, "all"),
    ("plain", 0.3, "shared"),
    ("plain", 0.3, "task:identity"),
    ("plain", 0.6, "task:identity"),
    ("gaussian1", 1, "task:identity"),
    ("gaussian1", 5, "all"),
    ("gaussian1", 5, "task"),
    ("gaussian1-as-printed", 5, "task"),
    ("laplace", 5, "task"),
    ("gaussian2", 5, "task"),
}


@dataclass(frozen=True)
class Scale:
    """How large a study is.

    Args:
        people: Simulated people; a real data set has its own.
        clients: Clients K where the paper does not vary them.
        rounds: Rounds T.
        epochs: Epochs of central training.
        windows: Windows of a client |D_i|, where it has as many.
        central_windows: Windows of central training; ``None``: all.
        folds: Folds of the cross-validation.
        enrolled: Windows that identity attackers enrol with; ``None``: all.
        rates: Learning rates to choose from.
        batch_sizes: Batch sizes to choose from.
        local_epochs: Local epochs to choose from.
    """

    people: int = 15
    clients: int = 20
    rounds: int = 40
    epochs: int = 30
    windows: int = 1000
    central_windows: int | None = None
    folds: int = 5
    enrolled: int | None = None
    rates: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2)
    batch_sizes: tuple[int, ...] = (16, 64)
    local_epochs: tuple[int, ...] = (1, 2)

    @property
    def candidates(self) -> tuple[Setting, ...]:
        """The settings to choose from."""
        return tuple(
            Setting(lr, batch, epochs)
            for lr in self.rates
            for batch in self.batch_sizes
            for epochs in self.local_epochs
        )


FULL = Scale()
QUICK = Scale(
    people=8,
    clients=10,
    rounds=10,
    epochs=10,
    windows=100,
    central_windows=1000,
    folds=1,
    enrolled=800,
    rates=(0.05, 0.1, 0.2),
    batch_sizes=(16,),
    local_epochs=(2,),
)


def scale_of(options: Options) -> Scale:
    """Return the size of the study that ``options`` ask for."""
    return QUICK if options.quick else FULL


def shared_config(options: Options) -> RunConfig:
    """Return data, split and clients that most cells share: IID clients, random folds."""
    scale = scale_of(options)
    changes: dict[str, Any] = {
        "data.name": options.data,
        "data.root": options.root,
        "data.eval": "random",
        "data.partition": "iid",
        "federation.clients": scale.clients,
        "federation.rounds": scale.rounds,
        "run.engine": "local",
        "run.device": "cpu",  # figures do not depend on who has a GPU
        "run.reference": False,
    }
    if options.data == "synthetic":
        changes["synthetic.people"] = scale.people
    return RunConfig().replace(changes)


@dataclass(frozen=True)
class Builder:
    """Makes the cells of one study.

    Args:
        options: What is asked for.
        people: People of the data set.
        settings: Setting of ``federated`` and ``central`` training.
    """

    options: Options
    people: int
    settings: Mapping[str, Setting]

    def all(self) -> Iterator[Cell]:
        """Yield every cell of the study."""
        yield self.central("central", "central training", self._setting("central"))
        yield from self._federated()
        yield from self._noised()
        yield from self._honest()
        if not self.options.as_printed:
            yield self.central("printed-central", "central, printed optimizer", PRINTED_SETTING)
            yield self.cell(
                "printed-federated", "federated, printed optimizer", {}, setting=PRINTED_SETTING
            )

    def central(self, name: str, what: str, setting: Setting) -> Cell:
        """Return pooled training: one client that holds everything, an epoch a round."""
        scale = scale_of(self.options)
        changes = {"federation.clients": 1, "federation.rounds": scale.epochs}
        setting = Setting(
            setting.lr, setting.batch_size, 1, setting.momentum, setting.max_grad_norm
        )
        return self.cell(name, what, changes, setting=setting, windows=scale.central_windows)

    def cell(
        self,
        name: str,
        what: str,
        changes: Mapping[str, Any],
        *,
        family: str = "no noise",
        setting: Setting | None = None,
        curve: bool = False,
        windows: int | None = -1,
    ) -> Cell:
        """Return a cell that differs from the federated baseline by ``changes``."""
        scale = scale_of(self.options)
        config = shared_config(self.options).replace(dict(changes))
        return Cell(
            name=name,
            what=what,
            config=(setting or self._setting("federated")).of(config),
            family=family,
            folds=scale.folds if config.data.eval == "random" else 1,
            windows=scale.windows if windows == -1 else windows,
            enrolled=scale.enrolled,
            curve=curve,
        )

    def _setting(self, purpose: str) -> Setting:
        return self.settings.get(purpose, PRINTED_SETTING)

    def _federated(self) -> Iterator[Cell]:
        yield self.cell("stress-only", "federated, stress alone", {"model.tasks": ["stress"]})
        yield self.cell("identity-only", "federated, identity alone", {"model.tasks": ["identity"]})
        for k in CLIENTS:
            what = f"federated, {k} clients"
            yield self.cell(f"clients-{k}", what, {"federation.clients": k}, curve=True)
        yield self.cell(
            "dirichlet", "non-IID: Dirichlet 0.3", {"data.partition": "dirichlet"}, curve=True
        )
        by_person = {
            "data.partition": "subject",
            "federation.clients": min(scale_of(self.options).clients, self.people),
        }
        yield self.cell("subject", "non-IID: whole people", by_person, curve=True)
        yield self.cell(
            "head-kept", "identity head not uploaded", HEAD_KEPT, family="head not uploaded"
        )

    def _noised(self) -> Iterator[Cell]:
        for sigma in SIGMAS:
            for layers in LAYERS:
                yield from self._noise("plain", sigma, layers)
        for mechanism in MECHANISMS:
            for eps in BUDGETS:
                for layers in LAYERS:
                    if layers != "task:identity" or mechanism == "gaussian1":
                        yield from self._noise(mechanism, eps, layers)

    def _noise(self, mechanism: str, level: float, layers: str) -> Iterator[Cell]:
        """Yield one noised cell, where the study has it."""
        if self.options.quick and (mechanism, level, layers) not in QUICK_NOISE:
            return
        name = noise_name(mechanism, level, layers)
        yield self.cell(
            name,
            noise_words(mechanism, level, layers),
            _noise_changes(mechanism, level, layers),
            family=MECHANISMS.get(mechanism, "plain noise"),
        )

    def _honest(self) -> Iterator[Cell]:
        """Yield cells on splits that leak nothing: held-out blocks of time, and unseen people."""
        unseen, blocks = {"data.eval": "unseen"}, {"data.eval": "blocks"}
        yield self.cell("unseen-federated", "federated, unseen people", unseen)
        yield self.cell("blocks-federated", "federated, held-out blocks", blocks)
        kinds = [("plain", 0.3, "task:identity")]
        if not self.options.quick:
            kinds += [("plain", 0.3, "all"), ("plain", 0.3, "shared"), ("gaussian1", 5, "task")]
            what = "identity head not uploaded, held-out blocks"
            kept = {**blocks, **HEAD_KEPT}
            yield self.cell("blocks-head-kept", what, kept, family="head not uploaded")
        for mechanism, level, layers in kinds:
            yield self.cell(
                f"blocks-{noise_name(mechanism, level, layers)}",
                f"{noise_words(mechanism, level, layers)}, held-out blocks",
                {**blocks, **_noise_changes(mechanism, level, layers)},
                family=MECHANISMS.get(mechanism, "plain noise"),
            )


def noise_name(mechanism: str, level: float, layers: str) -> str:
    """Return the name of a noised cell."""
    return f"{mechanism}-{level:g}-{layers.replace(':', '-')}"


def noise_words(mechanism: str, level: float, layers: str) -> str:
    """Return what a noised cell is, in words."""
    if mechanism == "plain":
        return f"plain noise {level:g} on {LAYERS[layers]}"
    return f"{MECHANISMS[mechanism]}, claimed eps {level:g} a round, {LAYERS[layers]}"


def _noise_changes(mechanism: str, level: float, layers: str) -> dict[str, Any]:
    if mechanism == "plain":
        return {"dp.mechanism": "paper-noise", "dp.sigma": level, "dp.noise_layers": layers}
    return {
        "dp.mechanism": f"paper-{mechanism}",
        "dp.eps_per_round": level,
        "dp.noise_layers": layers,
    }
