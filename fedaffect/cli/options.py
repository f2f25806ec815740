"""The options of ``fedaffect simulate`` as a table, and a command that prints them in groups.

Values arrive as text: ``fedaffect.config`` reads and checks every one of them, wherever it came
from, so that a flag, a file and Python give the same errors.
"""

from __future__ import annotations

from dataclasses import dataclass

import click


@dataclass(frozen=True)
class Flag:
    """One option: how it is typed, what it takes, what it does."""

    group: str
    name: str
    takes: str  # empty for a switch; "a/b" names are a pair of switches
    text: str


DATA, FEDERATION = "Data and model", "Federation"
PRIVACY, RUNNING = "Privacy", "Running"
SETTINGS = (
    Flag(DATA, "--data", "NAME", "Data set, see fedaffect data list [default: synthetic]"),
    Flag(DATA, "--data-root", "DIR", "Folder of the data set on this disk"),
    Flag(
        DATA, "--people", "LIST", "all | even | odd (every second one) | ID,ID,... [default: all]"
    ),
    Flag(DATA, "--modality", "NAME", "wrist | chest | both [default: wrist]"),
    Flag(DATA, "--allow-missing", "", "Go on without people whose files are missing"),
    Flag(
        DATA, "--model", "NAME", "Network [default: that of the backbone, or stress_identity_cnn]"
    ),
    Flag(
        DATA,
        "--tasks",
        "LIST",
        "What it learns, the primary task first: stress | identity | stress,identity "
        "[default: stress,identity; stress where --release is not full]",
    ),
    Flag(
        DATA,
        "--backbone",
        "NAME|FILE",
        "Public weights to start from: none | synthetic | stress-predict | what fedaffect "
        "pretrain wrote [default: none; synthetic where --release is not full]",
    ),
    Flag(
        PRIVACY,
        "--release",
        "PLAN",
        "What is trained on private people and leaves their devices, the rest being public and "
        "frozen: full | head | adapter | N, at most N numbers [default: full; head with a "
        "--backbone]",
    ),
    Flag(
        DATA,
        "--partition",
        "NAME",
        "Who holds what: subject | iid | dirichlet | shards | quantity [default: subject]",
    ),
    Flag(DATA, "--alpha", "FLOAT", "Concentration of dirichlet and quantity [default: 0.3]"),
    Flag(
        DATA,
        "--eval",
        "SPEC",
        "unseen | loso | blocks | random [default: unseen where people can be spared, else blocks]",
    ),
    Flag(
        DATA,
        "--normalise",
        "NAME",
        "Scale features by public constants or by statistics of the data: "
        "public | global | subject | none [default: public; subject with --release where a client "
        "is a person]",
    ),
    Flag(FEDERATION, "--clients", "INT", "[default: 20, or all people if fewer]"),
    Flag(FEDERATION, "--rounds", "INT", "[default: 40; 5 where --release is not full]"),
    Flag(FEDERATION, "--fraction", "FLOAT", "Share of clients in a round [default: 1.0]"),
    Flag(
        FEDERATION,
        "--sampler",
        "NAME",
        "How that share is drawn: fixed | bernoulli [default: fixed]",
    ),
    Flag(FEDERATION, "--strategy", "NAME", "fedavg | fedprox[:MU] [default: fedavg]"),
    Flag(FEDERATION, "--mu", "FLOAT", "Proximal term of fedprox [default: 0.01]"),
    Flag(
        FEDERATION,
        "--local-epochs",
        "INT",
        "Passes over a client's data [default: 1; 10 where --release is not full]",
    ),
    Flag(
        FEDERATION,
        "--batch-size",
        "INT",
        "Windows in a step [default: 16; 64 per window; all where --release is not full]",
    ),
    Flag(
        FEDERATION,
        "--lr",
        "FLOAT",
        "Learning rate [default: 0.1; 0.5 per window; 1 where --release is not full]",
    ),
    Flag(
        FEDERATION,
        "--class-weights",
        "NAME",
        "client: every client weighs its own classes alike, on its device | none [default: none; "
        "client where --release is not full]",
    ),
    Flag(FEDERATION, "--optimizer", "NAME", "sgd (momentum 0.9) | adam [default: sgd]"),
    Flag(
        PRIVACY,
        "--dp",
        "MECH",
        "none | gaussian | laplace | moments, or as the paper has it: paper-gaussian1 | "
        "paper-gaussian1-as-printed | paper-gaussian2 | paper-laplace [default: none]",
    ),
    Flag(PRIVACY, "--eps", "FLOAT", "TOTAL budget for the whole run"),
    Flag(
        PRIVACY,
        "--eps-per-round",
        "FLOAT",
        "What the paper claims for one round, with --dp paper-*; its true value is printed beside",
    ),
    Flag(
        PRIVACY,
        "--delta",
        "FLOAT",
        "[default: 1e-5, or 1/(10 units) if smaller; refused if not below 1/units]",
    ),
    Flag(
        PRIVACY,
        "--sigma",
        "FLOAT",
        "Plain noise of this standard deviation, with no budget: claims nothing, its worth is "
        "printed",
    ),
    Flag(
        PRIVACY,
        "--unit",
        "NAME",
        "What is protected: client, or window (one training window, NOT a person; noise in every "
        "local step) [default: client]",
    ),
    Flag(
        PRIVACY,
        "--dp-where",
        "NAME",
        "Who adds noise: server (trusted; once, to the sum) or client (nobody trusted; far more "
        "noise) [default: server; client with --dp paper-* and --unit window]",
    ),
    Flag(
        PRIVACY,
        "--noise-layers",
        "LIST",
        "all | shared | task | task:identity | BLOCK,...; blocks that are not named leave in the "
        "clear: no finite epsilon, unless -o dp.blocks keeps or freezes them [default: all]",
    ),
    Flag(
        PRIVACY,
        "--clip",
        "FLOAT|adaptive",
        "Largest norm of one client's update (--unit window: of one window's gradient); adaptive "
        "follows the clients' norms [default: 1.0]",
    ),
    Flag(
        PRIVACY,
        "--defence",
        "NAME[:STRENGTH]",
        "Against recognising people from the features, not DP: head-local | drop-identity | "
        "gradient-reversal[:LAMBDA] | bottleneck[:BETA] [default: none]",
    ),
    Flag(
        PRIVACY,
        "--unsafe-test-noise",
        "KEY",
        "Reproducible noise to compare engines: NO GUARANTEE",
    ),
    Flag(RUNNING, "--seed", "INT", "Training seed; privacy noise never uses it [default: 0]"),
    Flag(RUNNING, "--engine", "NAME", "ray | local [default: ray]"),
    Flag(
        RUNNING,
        "--workers",
        "INT",
        "Worker processes [default: CPUs with ray, or GPUs to train on; 1 with local]",
    ),
    Flag(RUNNING, "--ray-address", "ADDRESS", "A Ray cluster that already runs"),
    Flag(
        RUNNING,
        "--stack",
        "auto|on|off|N",
        "Clients that train side by side in one program [default: auto]",
    ),
    Flag(
        RUNNING,
        "--device",
        "auto|cpu|cuda",
        "Where clients train [default: auto, a GPU where PyTorch finds one]",
    ),
    Flag(RUNNING, "--dtype", "NAME", "float32 | float64 [default: float32]"),
    Flag(RUNNING, "--out", "DIR", "Run folder, new or empty [default: runs/<run id>]"),
    Flag(
        RUNNING,
        "--reference/--no-reference",
        "",
        "Also train without DP, and dealt out IID, to compare with [default: --reference]",
    ),
)
HANDLING = (
    Flag(RUNNING, "--config", "FILE", "TOML file; -o KEY=VALUE overrides one value"),
    Flag(RUNNING, "--resume", "RUN", "Go on with the interrupted run in this folder"),
    Flag(RUNNING, "--audit", "", "Attack the finished run, as fedaffect audit does"),
    Flag(RUNNING, "--dry-run", "", "Print the plan and where each value came from; train nothing"),
    Flag(RUNNING, "--json", "", "One JSON document on stdout, everything else on stderr"),
    Flag(RUNNING, "--quiet", "", "Print the result only"),
    Flag(RUNNING, "--no-color", "", "No colour, no animation"),
    Flag(RUNNING, "--debug", "", "Show the traceback of an error"),
)


class GroupedCommand(click.Command):
    """A command whose help lists options under the headings of their groups."""

    groups: dict[str, list[click.Parameter]]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one section a group."""
        for heading, options in self.groups.items():
            records = [record for o in options if (record := o.get_help_record(ctx))]
            with formatter.section(heading):
                formatter.write_dl(records)


def grouped_command(name: str, flags: tuple[Flag, ...], **settings: object) -> GroupedCommand:
    """Return the command ``name`` with one option for each of ``flags`` and ``-o``."""
    groups: dict[str, list[click.Parameter]] = {}
    for flag in flags:
        groups.setdefault(flag.group, []).append(_option(flag))
    groups.setdefault(RUNNING, []).append(
        click.Option(["-o", "overrides"], metavar="KEY=VALUE", multiple=True, help="Repeatable")
    )
    params = [option for options in groups.values() for option in options]
    command = GroupedCommand(name, params=params, **settings)  # type: ignore[arg-type]
    command.groups = groups
    return command


def _option(flag: Flag) -> click.Option:
    if flag.takes:
        return click.Option([flag.name], metavar=flag.takes, help=flag.text, default=None)
    return click.Option([flag.name], is_flag=True, help=flag.text, default=None)
