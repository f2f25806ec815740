"""Fixtures of the WESAD tests; none of them acts unless a test asks for it."""

import shutil
from pathlib import Path

import pytest

from fedaffect.data.wesad_sample import write_sample


@pytest.fixture(scope="session")
def wesad_sample(tmp_path_factory):
    root = tmp_path_factory.mktemp("wesad")
    write_sample(root, seed=3, modality="wrist")
    return root


@pytest.fixture
def wesad_home(tmp_path, monkeypatch):
    monkeypatch.setenv("FEDAFFECT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def wesad_copy(wesad_sample, tmp_path):
    """A copy of the sample that a test may damage."""
    return Path(shutil.copytree(wesad_sample, tmp_path / "copy"))
