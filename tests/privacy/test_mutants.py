"""The mistakes that privacy code makes, each put into a copy of the package: a named test dies.

A mutant is one line of the package changed; the text must stand in the file exactly once, so that
a mutant cannot quietly stop mutating. The named test passes on the package as it is (it is part of
the default run) and must fail on the mutant.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Mutant:
    """``right`` in ``file`` becomes ``wrong``; ``killer`` must notice."""

    name: str
    file: str
    right: str
    wrong: str
    killer: str


NOISED = "privacy/mechanisms/noised.py"
MUTANTS = (
    Mutant(
        "C for 2C under replace-one",
        "privacy/spec.py",
        'return 2 if self.adjacency == "replace_one" else 1',
        "return 1",
        "privacy/test_clipping.py::test_an_adversary_reaches_the_sensitivity",
    ),
    Mutant(
        "n for n - 1 when a participant knows its own noise",
        "privacy/observers.py",
        "max(1, fewest - 1)",
        "max(1, fewest)",
        "privacy/test_statement_places.py",
    ),
    Mutant(
        "T forgotten",
        NOISED,
        "rate, plan.participations, adjacency",
        "rate, 1, adjacency",
        "privacy/test_mechanisms.py::test_noise_for_a_total_of_5_over_40_rounds",
    ),
    Mutant(
        "variance for standard deviation",
        NOISED,
        "group.noise * drawn",
        "group.noise**2 * drawn",
        "privacy/test_mechanisms.py::test_noise_on_every_noised_coordinate_and_nowhere_else",
    ),
    Mutant(
        "one block forgotten",
        NOISED,
        "for block in group.blocks:\n                stream",
        "for block in group.blocks[:1]:\n                stream",
        "privacy/test_mechanisms.py::test_noise_on_every_noised_coordinate_and_nowhere_else",
    ),
    Mutant(
        "one block forgotten by the clip",
        NOISED,
        "[self.blocks.place(b) for b in group.blocks]",
        "[self.blocks.place(b) for b in group.blocks[:1]]",
        "privacy/test_clipping.py::test_a_neighbour_moves_the_noised_blocks_by_at_most_the_sensitivity",
    ),
    Mutant(
        "L2 clip under Laplace",
        "privacy/mechanisms/laplace.py",
        'own_norm: ClassVar[Literal["l1", "l2"]] = "l1"',
        'own_norm: ClassVar[Literal["l1", "l2"]] = "l2"',
        "privacy/test_mechanisms.py",
    ),
    Mutant(
        "the true L1 sensitivity of an L2 clip forgotten",
        "privacy/groups.py",
        '"l2": math.sqrt(d)',
        '"l2": 1.0',
        "privacy/test_paper_modes.py::test_laplace_noise_under_an_l2_clip",
    ),
    Mutant(
        "noise drawn once and reused for other sums",
        "privacy/noise.py",
        '_derive(self._secret, "noise", release, block, inputs.hex())',
        '_derive(self._secret, "noise", release, block)',
        "privacy/test_mechanisms.py::test_equal_inputs_repeat_a_release_and_any_change_gives_other_noise",
    ),
    Mutant(
        "denominator from the real count",
        "server/rounds.py",
        "mean = total / (self.clients_per_round + canaries)",
        "mean = total / max(1, len(updates.client_ids))",
        "server/test_rounds.py",
    ),
    Mutant(
        "noise drawn before the charge",
        "server/rounds.py",
        "            self.budget.charge(release, digest, None if secret else cohort.chosen)\n"
        "        noisy = mechanism.add_noise(total, self.key, release)\n",
        "            pass\n"
        "        noisy = mechanism.add_noise(total, self.key, release)\n"
        "        if self.budget is not None:\n"
        "            self.budget.charge(release, digest, None if secret else cohort.chosen)\n",
        "server/test_charge_first.py",
    ),
    Mutant(
        "amplification of a fixed-size draw",
        "privacy/base.py",
        'return self.sampling_rate if self.sampler == "poisson" else 1.0',
        "return self.sampling_rate",
        "privacy/test_mechanisms.py::test_only_secret_poisson_draws_at_the_server_amplify",
    ),
    Mutant(
        "blocks accounted by their largest z instead of jointly",
        "privacy/groups.py",
        "return 1 / math.hypot(*(g.sensitivity / g.noise for g in groups))",
        "return 1 / max(g.sensitivity / g.noise for g in groups)",
        "privacy/test_groups.py",
    ),
    Mutant(
        "wrong sign of the adaptive clip",
        "privacy/mechanisms/adaptive.py",
        "math.exp(-self._rule.rate",
        "math.exp(self._rule.rate",
        "privacy/test_adaptive.py",
    ),
    Mutant(
        "library's replace-one read as if z were relative to 2C",
        "privacy/accountants/adjacency.py",
        "return 2 * scale",
        "return scale",
        "privacy/test_accountants_adjacency.py",
    ),
    Mutant(
        "a clear block keeps a finite epsilon",
        "privacy/promise.py",
        'return bool(mechanism.groups) and not mechanism.blocks.named("clear")',
        "return bool(mechanism.groups)",
        "privacy/test_statement.py",
    ),
)


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name.replace(" ", "-"))
def test_mutants_are_killed(mutant: Mutant, tmp_path: Path) -> None:
    for part in ("fedaffect", "tests"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    path = tmp_path / "fedaffect" / mutant.file
    text = path.read_text()
    assert text.count(mutant.right) == 1, f"{mutant.right!r} is not once in {mutant.file}"
    path.write_text(text.replace(mutant.right, mutant.wrong))
    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-n",
            "0",
            "-x",
            "-p",
            "no:cacheprovider",
            f"tests/{mutant.killer}",
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 1, f"the mutant lives:\n{ended.stdout[-3000:]}{ended.stderr[-2000:]}"
