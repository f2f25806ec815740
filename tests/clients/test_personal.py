"""Layers that never leave a client, kept in the state folder of its node."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fedaffect.clients.personal import PersonalLayers


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FEDAFFECT_HOME", str(tmp_path))
    return tmp_path


def test_a_client_goes_on_with_what_it_had(home: Path) -> None:
    kept = PersonalLayers("calm-heron-7f3a")
    assert kept.load(0, 3, before_round=1) is None
    first, second = np.arange(4.0), np.arange(4.0) + 1
    kept.save(0, 3, 1, first)
    kept.save(0, 3, 5, second)
    again = PersonalLayers("calm-heron-7f3a")
    np.testing.assert_array_equal(again.load(0, 3, before_round=9), second)
    assert again.load(1, 3, before_round=9) is None
    assert again.load(0, 4, before_round=9) is None
    assert PersonalLayers("other-run").load(0, 3, before_round=9) is None
    assert all(not p.stat().st_mode & 0o077 for p in home.rglob("*.safetensors"))


def test_a_round_that_is_done_again_starts_from_what_was_before_it() -> None:
    kept = PersonalLayers("run")
    for server_round in (1, 2, 3, 4):
        kept.save(0, 0, server_round, np.full(2, float(server_round)))
    np.testing.assert_array_equal(kept.load(0, 0, before_round=3), [2.0, 2.0])
    kept.save(0, 0, 3, np.full(2, 3.5))
    np.testing.assert_array_equal(kept.load(0, 0, before_round=4), [3.5, 3.5])
    assert kept.load(0, 0, before_round=2) is None  # only the last three rounds are kept
