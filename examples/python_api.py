"""Simulate from Python and read the figures of the run.

python examples/python_api.py --clients 8 --rounds 20 --eps 5
"""

from __future__ import annotations

import argparse

import fedaffect
from fedaffect.progress import Listener
from fedaffect.record import RoundRecord


class Progress(Listener):
    """Whoever watches a run overrides what they want to hear."""

    def round_done(self, record: RoundRecord) -> None:
        """Say something every fifth round."""
        if record.round % 5 == 0:
            spent = "" if record.eps_spent is None else f", eps so far {record.eps_spent:.2f}"
            print(f"round {record.round}: loss {record.loss:.3g}{spent}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--eps", type=float, help="total budget; without it there is no DP")
    parser.add_argument("--out", help="run folder, new or empty")
    given = parser.parse_args()
    dp = {"dp": "gaussian", "eps": given.eps} if given.eps is not None else {}

    record = fedaffect.simulate(  # the words are those of `fedaffect simulate --help`
        clients=given.clients,
        rounds=given.rounds,
        partition="subject",
        engine="local",
        reference=False,
        out=given.out,
        listener=Progress(),
        **dp,
    )

    figures = record.figures
    for name, estimate in (
        ("stress balanced accuracy", figures.stress_balanced_accuracy),
        ("identity, own head", figures.identity_own_head),
        (f"identity, new attacker ({figures.strongest_attack})", figures.identity_strongest),
    ):
        # An estimate is None where a class is missing; intervals are over people, not windows.
        value = "n/a" if estimate.value is None else f"{estimate.value:.1%}"
        print(f"{name:34} {value:>6}   chance {estimate.chance:.1%}   {estimate.n_people} people")
    print(f"privacy {record.privacy['status']}: {record.privacy['sentence']}")
    print(f"everything else: {record.folder}/report.html")


if __name__ == "__main__":
    main()
