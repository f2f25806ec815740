from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from fedaffect import registry
from fedaffect.errors import UsageError

NAMES = [(kind, name) for kind, table in registry.KINDS.items() for name in table]


@pytest.mark.parametrize(("kind", "name"), NAMES)
def test_every_registered_name_resolves_to_what_builds_it(kind: str, name: str) -> None:
    cls = registry.resolve(kind, name)
    assert isinstance(cls, type) or kind == "engine"  # which may be one of several classes
    assert registry.KINDS[kind][name].endswith(f":{cls.__name__}")
    if kind not in ("model", "engine"):
        assert dataclasses.is_dataclass(cls)


@pytest.mark.parametrize(("kind", "name"), NAMES)
def test_a_misspelt_name_is_corrected(kind: str, name: str) -> None:
    wrong = name + "_"
    with pytest.raises(UsageError, match=f"--{kind} '{wrong}' is not known") as caught:
        registry.resolve(kind, wrong)
    assert caught.value.code == "E210"
    assert f"did you mean {name}?" in caught.value.do
    for known in registry.KINDS[kind]:
        assert known in caught.value.do.partition("known:")[2]


@pytest.mark.parametrize("name", ["", "Gaussian", "gaussian ", "os.system", "fedaffect.rng:x"])
def test_names_are_exact(name: str) -> None:
    with pytest.raises(UsageError, match="is not known"):
        registry.check_name("dp", name)


def test_nothing_near_is_no_suggestion() -> None:
    with pytest.raises(UsageError) as caught:
        registry.check_name("engine", "qqqq")
    assert caught.value.do == "known: local, ray"


def test_looking_up_imports_nothing_heavy() -> None:
    code = (
        "import sys, fedaffect.config_sources as c; c.resolve({'dp': 'gaussian', 'eps': 5}); "
        "heavy = {'torch', 'numpy', 'flwr', 'ray', 'sklearn', 'scipy'} & set(sys.modules); "
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
