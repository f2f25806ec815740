"""The cells of the study: who is private, what is trained on them, under which promise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from fedaffect.config import FEW, RunConfig
from fedaffect.reproduce.cell import Cell
from fedaffect.reproduce.study import Options

DELTA = 1e-5
STACK = 20  # clients that train side by side: a cell has one process
BUDGETS = (0.5, 1, 2, 4, 8)
COMPARED = 2  # eps that every scene compares a head and a whole network at
SCALINGS = {"subject": "calibrated", "public": "not calibrated"}
HALVES = {"even": "odd", "odd": "even"}  # private people to public people
SHIFT = 0.85  # quarter turns between the reactions of public and private people
POPULATION = 21  # seed of the private people
PUBLIC_POPULATION = {"synthetic.seed": 1000, "synthetic.people": 60}  # makes the planted backbone
SUFFIX = ".safetensors"
PLANTED = f"backbone-planted{SUFFIX}"
PUBLIC, OPEN, LOCAL = "public", "no-dp", "local"
WHOLE = {"model.release": "full", "federation.class_weights": "client"}
PAPER, REVERSAL, HEAD_LOCAL = "paper", "reversal", "head-local"

Kind = Literal["public", "head", "local", "full"]


@dataclass(frozen=True)
class HeadCell(Cell):
    """A cell with its place in the table.

    Args:
        scene: Name of who is private and what is public.
        row: Name of its row in the table of the scene.
        kind: ``public``: nothing is trained; ``head``: the stress head, federated; ``local``: a
            head of one's own; ``full``: the whole network, federated.
        draws: Noise draws, each with a test noise key of its own.
        attacked: Whether people are looked for in the embedding; it is that of ``public`` where
            only a head is trained.
    """

    scene: str = ""
    row: str = ""
    kind: Kind = "head"
    draws: int = 1
    attacked: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """Text of the test noise key of every draw."""
        return tuple(f"{self.config.run.seed}-{draw}" for draw in range(self.draws))


@dataclass(frozen=True)
class Scene:
    """Who is private, and which backbone is public.

    Args:
        name: Beginning of the names of its cells.
        what: In words.
        people: Number of private people.
        changes: Dotted keys of the configuration.
        backbone: A shipped one, or the name of a file in the folder of the study.
        planted: What is known beforehand: something is to be ``won``, or ``nothing``.
    """

    name: str
    what: str
    people: int
    changes: Mapping[str, Any] = field(default_factory=dict)
    backbone: str = "synthetic"
    planted: Literal["won", "nothing", ""] = ""


@dataclass(frozen=True)
class Scale:
    """How large a study is.

    Args:
        people: Simulated private people.
        draws: Noise draws of a private cell.
        full_rounds: Rounds of whole networks, but for those under the budget of a head.
        full_folds: Left-out people that whole networks are tested on, at most.
        same_folds: The same, of networks that are released under the budget of a head.
        same_budgets: Those budgets in the first scene; in the others there is ``COMPARED`` alone.
        full_scalings: Scalings of the features that other whole networks are trained with, in
            the first scene.
    """

    people: int = 21
    draws: int = 10
    full_rounds: int = 10
    full_folds: int = 5
    same_folds: int = 1000
    same_budgets: tuple[float, ...] = BUDGETS
    full_scalings: tuple[str, ...] = ("subject", "public")


FULL_STUDY = Scale()
QUICK_STUDY = Scale(
    draws=3,
    full_rounds=5,
    full_folds=3,
    same_folds=3,
    same_budgets=(COMPARED,),
    full_scalings=("subject",),
)


def scale_of(options: Options) -> Scale:
    """Return the size of the study that ``options`` ask for."""
    return QUICK_STUDY if options.quick else FULL_STUDY


def shared_config(options: Options) -> RunConfig:
    """Return data, split and precision that all cells share: one person is left out in turn."""
    changes: dict[str, Any] = {
        "data.name": options.data,
        "data.root": options.root,
        "data.eval": "loso",
        "federation.clients": 1,
        "run.engine": "local",
        "run.reference": False,
        "run.dtype": "float64",
        "run.stack": STACK,
        "run.device": "cpu",  # figures do not depend on who has a GPU
    }
    if options.data == "synthetic":
        changes |= {
            "synthetic.people": scale_of(options).people,
            "synthetic.seed": POPULATION,
        }
    return RunConfig().replace(changes)


def backbone_of(half: str) -> str:
    """Return the name of the file of the backbone that ``half`` of a real data set makes."""
    return f"backbone-{half}{SUFFIX}"


def scenes(options: Options, people: int) -> tuple[Scene, ...]:
    """Return who is private in turn, of a data set of ``people``."""
    if options.data == "synthetic":
        otherwise = {"synthetic.response_shift": SHIFT}
        who = "simulated private people who react otherwise than the public ones"
        alike = "simulated private people like the public ones"
        return (
            Scene("shifted", who, people, otherwise, PLANTED, "won"),
            Scene("control", alike, people, {}, PLANTED, "nothing"),
            Scene("shipped", f"{who}, the shipped backbone", people, otherwise),
        )
    found = []
    for private, public in HALVES.items():
        count = (people + (private == "even")) // 2
        mine = {"data.people": (private,)}
        who = f"the {private} people are private"
        found += [
            Scene(private, f"{who}, the {public} ones public", count, mine, backbone_of(public)),
            Scene(f"{private}-synthetic", f"{who}, simulated people public", count, mine),
        ]
    return tuple(found)


def cells(options: Options, people: int) -> Iterator[HeadCell]:
    """Yield every cell of the study."""
    for scene in scenes(options, people):
        for scaling in SCALINGS:
            yield from _Rows(options, scene, scaling).all()


@dataclass(frozen=True)
class _Rows:
    """Makes the cells of one scene under one scaling of the features."""

    options: Options
    scene: Scene
    scaling: str

    @property
    def scale(self) -> Scale:
        return scale_of(self.options)

    def all(self) -> Iterator[HeadCell]:
        yield self.cell(PUBLIC, "public only", "public", attacked=True)
        yield self.cell(OPEN, "head, no DP", "head")
        for eps in BUDGETS:
            what = f"head, eps {eps:g}"
            yield self.cell(budget_row(eps), what, "head", _dp(eps), draws=self.scale.draws)
        yield self.cell(LOCAL, "local training only", "local")
        first = scenes(self.options, self.scene.people)[0].name == self.scene.name
        every = first and self.scaling == "subject"
        for eps in self.scale.same_budgets if every else (COMPARED,):
            yield self._whole_under_the_same_budget(eps)
        if first and self.scaling in self.scale.full_scalings:
            yield from self._others()

    def _whole_under_the_same_budget(self, eps: float) -> HeadCell:
        """Return the cell that releases the whole network as the head is released."""
        few = {
            "model.tasks": ("stress",),
            "federation.rounds": FEW.rounds,
            "federation.local_epochs": FEW.local_epochs,
            "federation.batch_size": FEW.batch_size,
        }
        what, changes = f"full release, eps {eps:g}", WHOLE | few | _dp(eps)
        return self.full(full_row(eps), what, changes, self.scale.draws, self.scale.same_folds)

    def _others(self) -> Iterator[HeadCell]:
        """Yield the cells that train and release the whole network in other ways."""
        both = {
            **WHOLE,
            "model.tasks": ("stress", "identity"),
            "federation.rounds": self.scale.full_rounds,
        }
        paper = {
            "model.backbone": "none",
            "model.name": "stress_identity_cnn",
            "dp.mechanism": "paper-gaussian1",
            "dp.eps_per_round": float(COMPARED),
            "dp.delta": DELTA,
            "dp.noise_layers": "all",
        }
        yield self.full(PAPER, f"the paper's Gaussian 1, claimed eps {COMPARED} a round",
                        both | paper, self.scale.draws)  # fmt: skip
        for row, what, name in (
            (REVERSAL, "full, gradient reversal, no DP", "gradient-reversal"),
            (HEAD_LOCAL, "full, identity head kept, no DP", "head-local"),
        ):
            yield self.full(row, what, both | {"defence.name": name}, 1)

    def full(
        self,
        row: str,
        what: str,
        changes: Mapping[str, Any],
        draws: int,
        folds: int | None = None,
    ) -> HeadCell:
        folds = folds or self.scale.full_folds
        return self.cell(row, what, "full", changes, draws=draws, attacked=True, folds=folds)

    def cell(
        self,
        row: str,
        what: str,
        kind: Kind,
        changes: Mapping[str, Any] | None = None,
        *,
        draws: int = 1,
        attacked: bool = False,
        folds: int = 1000,
    ) -> HeadCell:
        scene = self.scene
        fixed = {
            "federation.clients": scene.people - 1,
            "model.release": "head",
            "model.backbone": scene.backbone,
            "data.normalise": self.scaling,
        }
        config = shared_config(self.options).replace({**fixed, **scene.changes, **(changes or {})})
        return HeadCell(
            name=cell_name(scene.name, self.scaling, row),
            what=what,
            config=config,
            family={"public": "public only", "head": "head", "local": "local"}.get(kind, "full"),
            folds=folds,
            scene=scene.name,
            row=row,
            kind=kind,
            draws=draws,
            attacked=attacked,
        )


def cell_name(scene: str, scaling: str, row: str) -> str:
    """Return the name of a cell."""
    return f"{scene}.{scaling}.{row}"


def budget_row(eps: float) -> str:
    """Return the name of the row of a private head."""
    return f"eps-{eps:g}"


def full_row(eps: float) -> str:
    """Return the name of the row of a whole network under the budget of a head."""
    return f"full-{eps:g}"


def _dp(eps: float) -> dict[str, Any]:
    return {"dp.mechanism": "gaussian", "dp.eps": float(eps), "dp.delta": DELTA}
