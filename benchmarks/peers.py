"""The peers' own environments, which the benchmarks make: ``python benchmarks/peers.py install``.

They lie in ``benchmarks/.peers`` and are dependencies of nothing. PyTorch comes first and pinned,
so that a peer cannot bring another one. ``PIP_EXTRA_INDEX_URL`` and the like choose its build.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOLDER = HERE / ".peers"
TORCH = "torch==2.13.0"
NEEDS = {"flower": "flwr[simulation]==1.41.0", "pfl": "pfl==0.6.0"}
TELLING = ("flwr", "ray", "pfl", "torch", "numpy")  # packages whose versions the figures name
INSTALL = "python benchmarks/peers.py install"
ASK = (
    "import json; from importlib import metadata; "
    "print(json.dumps({d.name.lower(): d.version for d in metadata.distributions()}))"
)


def python_of(peer: str) -> Path:
    """Return the Python of a peer's environment, whether it is there or not."""
    return FOLDER / peer / "bin" / "python"


def versions(peer: str) -> dict[str, str]:
    """Return the versions in a peer's environment; nothing where it is missing or unfinished."""
    if not python_of(peer).exists():
        return {}
    told = subprocess.run([python_of(peer), "-c", ASK], capture_output=True, text=True)
    found = json.loads(told.stdout) if told.returncode == 0 else {}
    return {name: found[name] for name in TELLING if name in found} if _whole(peer, found) else {}


def why_missing(peer: str) -> str:
    """Return in one line what is missing and what to do; empty where the peer is installed."""
    return "" if versions(peer) else f"{peer} is not installed: {INSTALL}"


def _whole(peer: str, found: dict[str, str]) -> bool:
    name, _, version = NEEDS[peer].replace("[simulation]", "").partition("==")
    return found.get(name) == version and {"torch", "psutil"} <= set(found)


def install(peer: str) -> None:
    """Make a peer's environment, or finish one.

    Raises:
        CalledProcessError: pip could not.
    """
    if versions(peer):
        print(f"{peer}: installed already")
        return
    python = python_of(peer)
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", FOLDER / peer], check=True)
    pip = [python, "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, TORCH, "psutil"], check=True)
    subprocess.run([*pip, TORCH, NEEDS[peer]], check=True)
    print(f"{peer}: {versions(peer)}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("what", choices=("install", "status"))
    parser.add_argument("--only", choices=NEEDS, help="this peer alone")
    given = parser.parse_args()
    for peer in [given.only] if given.only else NEEDS:
        if given.what == "install":
            install(peer)
        else:
            print(why_missing(peer) or f"{peer}: {versions(peer)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
