"""E4 sessions for tests: signals to write, and files typed by hand."""

from pathlib import Path

import numpy as np

from fedaffect.data.schema import WRIST_CHANNELS, Signal

START = 1_644_829_925
RATES_HZ = {"acc": 32.0, "bvp": 64.0, "eda": 4.0, "temp": 4.0}


def signals(seconds: int, seed: int = 0, start_s: float = 0.0) -> dict[str, Signal]:
    rng = np.random.default_rng(seed)
    level = {"acc_x": 0, "acc_y": 5, "acc_z": 64, "bvp": 0, "eda": 2, "temp": 33}
    out = {}
    for channel in WRIST_CHANNELS:
        word = channel.split(".")[1]
        rate_hz = RATES_HZ[word.split("_")[0]]
        noise = 0.3 * rng.standard_normal(int(seconds * rate_hz))
        out[channel] = Signal((level[word] + noise).astype(np.float32), rate_hz, start_s)
    return out


def text(rate: str, rows: list[str], start: str = f"{START}.000000") -> str:
    return "\n".join([start, rate, *rows]) + "\n"


def typed_session(folder: Path) -> Path:
    """Fill ``folder`` with two seconds, in the layout of the maker's export."""
    (folder / "ACC.csv").write_text(
        text(
            "32.000000, 32.000000, 32.000000",
            [f"{i - 32},{i % 3},63" for i in range(64)],
            ", ".join([f"{START}.000000"] * 3),
        )
    )
    (folder / "BVP.csv").write_text(text("64.000000", [f"{i / 4:.2f}" for i in range(128)]))
    (folder / "EDA.csv").write_text(text("4.000000", [f"0.{i}" for i in range(1, 9)]))
    (folder / "TEMP.csv").write_text(text("4.000000", [f"3{i}.13" for i in range(8)]))
    return folder
