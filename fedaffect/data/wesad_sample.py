"""Fifteen simulated people in WESAD's layout, to try everything without the data set."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

from fedaffect.data.e4_write import mark_simulated
from fedaffect.data.synthetic_chest import simulate_chest
from fedaffect.data.synthetic_person import draw_person
from fedaffect.data.synthetic_signals import simulate_session
from fedaffect.data.wesad import SUBJECTS
from fedaffect.data.wesad_file import DEVICES, LABEL_HZ
from fedaffect.rng import generator

# (label code, seconds): the course of a recording in its two orders; 0 are transitions.
_REST = ((0, 5), (4, 25), (0, 5))
_STRESS_FIRST = ((0, 6), (1, 80), (0, 5), (2, 70), *_REST, (3, 50), *_REST)
_STRESS_LAST = ((0, 6), (1, 80), (0, 5), (3, 50), *_REST, (2, 70), *_REST)
_STRESS_EFFECT = 1.5  # one stress task each: a clear one, as the laboratory's was
_IGNORED = ((5, 1), (6, 1), (7, 1))


def write_sample(root: Path, seed: int = 0, modality: Literal["wrist", "both"] = "both") -> None:
    """Write 15 simulated people of almost five minutes each, as Python 2 would have pickled them.

    Args:
        root: Where to; ``S2/S2.pkl`` to ``S17/S17.pkl`` are made in it.
        seed: Which people.
        modality: ``both`` (about 100 MB), or ``wrist`` to leave out the chest (about 15 MB).
    """
    mark_simulated(root)
    for index, subject in enumerate(SUBJECTS):
        plan = [*(_STRESS_LAST if index % 2 else _STRESS_FIRST), *_IGNORED]
        timed = [(code, float(duration_s)) for code, duration_s in plan]
        person = draw_person(seed, index, stress_effect=_STRESS_EFFECT)
        rng = generator(seed, "wesad", "sample", index)
        signals, codes = simulate_session(rng, person, timed)
        if modality == "both":
            chest, _ = simulate_chest(generator(seed, "wesad", "chest", index), person, timed)
            signals |= chest
        signal = {
            device: {
                key: np.stack([signals[f"{device}.{c}"].values for c in channels], axis=1)
                for key, (_, channels) in entries.items()
            }
            for device, entries in DEVICES.items()
            if device == "wrist" or modality == "both"
        }
        label = np.repeat(codes.values, round(LABEL_HZ / codes.rate_hz)).astype(np.int32)
        folder = root / subject
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / f"{subject}.pkl", "wb") as stream:
            write_pickle({"signal": signal, "label": label, "subject": subject}, stream)


def write_pickle(tree: Mapping[str, object], stream: BinaryIO) -> None:
    """Write nested dicts of strings and arrays as Python 2 with NumPy 1 does in protocol 2.

    Raises:
        TypeError: the tree holds something else.
    """
    stream.write(b"\x80\x02")  # PROTO
    _write(tree, stream)
    stream.write(b".")  # STOP


def _write(value: object, stream: BinaryIO) -> None:
    if isinstance(value, str):
        text = value.encode("latin-1")
        stream.write(b"U" + bytes([len(text)]) + text)  # SHORT_BINSTRING
    elif isinstance(value, Mapping):
        stream.write(b"}(")  # EMPTY_DICT MARK ... SETITEMS
        for key, item in value.items():
            _write(key, stream)
            _write(item, stream)
        stream.write(b"u")
    elif isinstance(value, np.ndarray):
        order, code = value.dtype.str[:1].encode(), value.dtype.str[1:].encode()
        shape = b"".join(struct.pack("<ci", b"J", n) for n in value.shape)
        stream.write(
            b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
            b"(K\x01(" + shape + b"t"  # state: version, shape, dtype, not Fortran, bytes
            b"cnumpy\ndtype\nU" + bytes([len(code)]) + code + b"K\x00K\x01\x87R"
            b"(K\x03U\x01" + order + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
            b"\x89" + struct.pack("<ci", b"T", value.nbytes)
        )
        stream.write(value.tobytes())
        stream.write(b"tb")
    else:
        raise TypeError(f"cannot write {type(value).__name__}")
