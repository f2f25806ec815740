"""Time and memory to read one person of WESAD from a file of the official size and format.

Writes a pickle as Python 2 writes it in protocol 0 (its default, about 1 GB for 0.3 GB of
numbers), reads the wrist, the chest and both in child processes, and reads each again from the
cache. Run ``python benchmarks/wesad_protocol0.py``; the file is deleted afterwards.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

CHEST_ROWS = 4_255_300  # S2, about 101 minutes at 700 Hz
_CHUNK_BYTES = 4 << 20
_CHILD = """
import json, resource, sys, time
from pathlib import Path
from fedaffect.data.wesad import Wesad
start_rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start_s = time.perf_counter()
data = Wesad(modality=sys.argv[2], allow_missing=True).load(Path(sys.argv[1]))
wall_s = time.perf_counter() - start_s
unit = 1 if sys.platform == "darwin" else 1024
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
samples = sum(len(s.values) for s in data.recordings[0].signals.values())
print(json.dumps({"wall_s": wall_s, "peak_gb": peak / 1e9, "imports_gb": start_rss * unit / 1e9,
                  "samples": samples}))
"""


class Python2Writer:
    """Writes nested dicts of strings and arrays byte by byte as Python 2.7 does in protocol 0.

    Every object is numbered; classes, keys and dtypes that come again are referred to by number.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.memo: dict[object, int] = {}
        self.count = 0

    def write(self, tree: Mapping[str, object]) -> None:
        """Write ``tree`` and the end mark."""
        self._value(tree)
        self.stream.write(b".")

    def _value(self, value: object) -> None:
        if isinstance(value, Mapping):
            self._put(b"(d")
            for key, item in value.items():
                self._value(key)
                self._value(item)
                self.stream.write(b"s")
        elif isinstance(value, str):
            self._once(("text", value), b"S" + repr(value).encode() + b"\n")
        elif isinstance(value, np.ndarray):
            self._array(value)
        else:
            raise TypeError(f"cannot write {type(value).__name__}")

    def _array(self, array: np.ndarray) -> None:
        self._once("reconstruct", b"cnumpy.core.multiarray\n_reconstruct\n")
        self.stream.write(b"(")
        self._once("ndarray", b"cnumpy\nndarray\n")
        self._put(b"(I0\nt")
        self._once("b", b"S'b'\n")
        self._put(b"t")
        self._put(b"R")
        self._put(b"(I1\n(" + b"".join(b"I%d\n" % n for n in array.shape) + b"t")
        self._dtype(array.dtype)
        fortran = array.flags.f_contiguous and not array.flags.c_contiguous
        self.stream.write(b"I01\nS'" if fortran else b"I00\nS'")
        flat = array.reshape(-1, order="F" if fortran else "C").view(np.uint8)
        for at in range(0, len(flat), _CHUNK_BYTES):
            # With both quotes in the text, repr quotes it with ' as Python 2 does for the whole.
            escaped = repr(flat[at : at + _CHUNK_BYTES].tobytes() + b"'\"")
            self.stream.write(escaped[2:-4].encode())
        self._put(b"'\n")
        self._put(b"t")
        self.stream.write(b"b")

    def _dtype(self, dtype: np.dtype) -> None:
        order, code = dtype.str[:1].encode(), dtype.str[1:].encode()
        if dtype in self.memo:
            self.stream.write(b"g%d\n" % self.memo[dtype])
            return
        self._once("dtype", b"cnumpy\ndtype\n")
        self._put(b"(S'%s'\n" % code)
        self._put(b"I0\nI1\nt")
        self.memo[dtype] = self.count
        self._put(b"R")
        self._put(b"(I3\nS'%s'\n" % order)
        self._put(b"NNNI-1\nI-1\nI0\nt")
        self.stream.write(b"b")

    def _once(self, name: object, code: bytes) -> None:
        if name in self.memo:
            self.stream.write(b"g%d\n" % self.memo[name])
        else:
            self.memo[name] = self.count
            self._put(code)

    def _put(self, code: bytes) -> None:
        self.stream.write(code + b"p%d\n" % self.count)
        self.count += 1


def official_size_tree(rows: int = CHEST_ROWS, seed: int = 0) -> dict[str, object]:
    """Return numbers as the devices give them: chest in steps of a 16-bit converter, float64."""
    rng = np.random.Generator(np.random.Philox(seed))
    seconds = rows // 700

    def converter(columns: int, scale: float) -> np.ndarray:
        counts = rng.integers(0, 1 << 16, (rows, columns), dtype=np.uint16)
        return np.asarray((counts / 2.0**16 - 0.5) * scale)  # (rows, columns) float64

    def wristband(rate_hz: int, columns: int) -> np.ndarray:
        return rng.normal(30.0, 1.0, (seconds * rate_hz, columns)).round(2)

    chest = {"ACC": converter(3, 2.0)}
    chest |= {key: converter(1, 3.0) for key in ("ECG", "EMG", "EDA", "Temp", "Resp")}
    wrist = {"ACC": wristband(32, 3), "BVP": wristband(64, 1)}
    wrist |= {"EDA": wristband(4, 1), "TEMP": wristband(4, 1)}
    label = np.repeat(np.arange(8, dtype=np.int32), -(-rows // 8))[:rows]
    return {"signal": {"chest": chest, "wrist": wrist}, "label": label, "subject": "S2"}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--folder", type=Path, help="where to write the file (default: a new one)")
    options.add_argument("--rows", type=int, default=CHEST_ROWS, help="chest rows")
    options.add_argument("--only-write", type=Path, help="write this file and stop")
    given = options.parse_args()
    if given.only_write:
        with open(given.only_write, "wb") as stream:
            Python2Writer(stream).write(official_size_tree(given.rows))
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        root = Path(folder)
        (root / "S2").mkdir()
        path = root / "S2" / "S2.pkl"
        # Written by a child: a process starts with the peak of its parent as its own on Linux.
        write = [sys.executable, __file__, "--only-write", str(path), "--rows", str(given.rows)]
        subprocess.run(write, check=True)
        print(f"file: {path.stat().st_size / 1e9:.3f} GB")
        environment = os.environ | {"FEDAFFECT_HOME": str(root / "home")}
        for modality in ("wrist", "chest", "both"):
            for source in ("file", "cache"):
                child = subprocess.run(
                    [sys.executable, "-c", _CHILD, str(root), modality],
                    env=environment,
                    capture_output=True,
                    text=True,
                    check=True,
                )
                found = json.loads(child.stdout)
                print(
                    f"{modality} from {source}: {found['wall_s']:.2f} s, "
                    f"peak {found['peak_gb']:.2f} GB (imports {found['imports_gb']:.2f} GB), "
                    f"{found['samples']} samples"
                )


if __name__ == "__main__":
    main()
