"""Where a channel lies in a WESAD file, and writers and readers other than the loader's own."""

import importlib.util
import pickle
from pathlib import Path

import pytest

from fedaffect.data.wesad import Wesad
from fedaffect.data.wesad_sample import write_pickle
from fedaffect.errors import DataError

HERE = Path(__file__).parent
KEYS = {  # channel -> (device, key, column) in the file
    **{f"wrist.acc_{a}": ("wrist", "ACC", i) for i, a in enumerate("xyz")},
    **{f"chest.acc_{a}": ("chest", "ACC", i) for i, a in enumerate("xyz")},
    "wrist.bvp": ("wrist", "BVP", 0),
    "wrist.eda": ("wrist", "EDA", 0),
    "wrist.temp": ("wrist", "TEMP", 0),
    "chest.ecg": ("chest", "ECG", 0),
    "chest.emg": ("chest", "EMG", 0),
    "chest.eda": ("chest", "EDA", 0),
    "chest.temp": ("chest", "Temp", 0),
    "chest.resp": ("chest", "Resp", 0),
}


def python2_writer():
    path = HERE.parents[1] / "benchmarks" / "wesad_protocol0.py"
    spec = importlib.util.spec_from_file_location("wesad_protocol0", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def by_standard_library(path: Path):
    with open(path, "rb") as stream:
        return pickle.load(stream, encoding="latin1")


def rewrite(root: Path, subject: str, change) -> Path:
    path = root / subject / f"{subject}.pkl"
    tree = by_standard_library(path)
    tree = change(tree) or tree
    with open(path, "wb") as stream:
        write_pickle(tree, stream)
    return path


def error_of(root: Path | None, **options) -> DataError:
    with pytest.raises(DataError) as caught:
        Wesad(**options).load(root)
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)
    return caught.value
