"""Checkpoints: exact, whole or passed over, never unpickled."""

from __future__ import annotations

import pickle
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save_file

from fedaffect.errors import StorageError
from fedaffect.server.checkpoint import Checkpoint, Progress, after, latest, save

EDGES = np.array([0.0, -0.0, 5e-324, -1e-310, 1e300, 0.1, np.pi, np.nextafter(1, 2)])


def checkpoint(
    server_round: int = 1, fold: int = 0, head: str | None = "ab" * 32, shift: float = 0.0
) -> Checkpoint:
    params = tuple(EDGES + shift + i for i in range(fold + 1))
    progress = Progress(fold, server_round, params, (0.1 + 0.2, 3.0), 10 * fold + server_round)
    return Checkpoint("calm-heron-7f3a", "cd" * 32, progress, head)


def kept(folder: Path) -> list[str]:
    return sorted(p.name for p in (folder / "checkpoints").iterdir())


def newest(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """Return the newest whole checkpoint and the warnings."""
    said: list[str] = []
    return latest(folder, said.append), said


def same(one: Checkpoint | None, other: Checkpoint) -> bool:
    """Compare to the last bit, the sign of zero included."""
    assert one is not None
    a, b = one.progress, other.progress
    bits = [[p.tobytes() for p in x.params] for x in (a, b)]
    return (
        bits[0] == bits[1]
        and (a.fold, a.server_round, a.bounds, a.recorded)
        == (b.fold, b.server_round, b.bounds, b.recorded)
        and (one.run, one.settings, one.ledger_head)
        == (other.run, other.settings, other.ledger_head)
    )


def test_says_what_its_parameters_promise(tmp_path: Path) -> None:
    privacy = {"privacy_status": "FORMAL", "eps": "2.5", "delta": "1e-05", "unit": "client"}
    save(tmp_path, replace(checkpoint(), privacy=privacy))
    with safe_open(tmp_path / "checkpoints" / "fold-0-round-1.safetensors", "np") as file:
        assert privacy.items() <= file.metadata().items()
    back, _ = newest(tmp_path)
    assert back is not None and back.privacy == privacy


@pytest.mark.parametrize("head", ["ab" * 32, None])
@pytest.mark.parametrize("fold", [0, 2])
def test_comes_back_to_the_last_bit(tmp_path: Path, fold: int, head: str | None) -> None:
    save(tmp_path, checkpoint(3, fold, head))
    back, said = newest(tmp_path)
    assert same(back, checkpoint(3, fold, head))
    assert said == []
    (name,) = kept(tmp_path)
    assert name == f"fold-{fold}-round-3.safetensors"
    file = tmp_path / "checkpoints" / name
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    with safe_open(file, "np") as opened:  # an ordinary safetensors file
        assert opened.get_tensor("params").shape == (fold + 1, len(EDGES))


def test_none_before_the_first(tmp_path: Path) -> None:
    assert newest(tmp_path) == (None, [])
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / ".fold-0-round-1.safetensors.aa.tmp").write_bytes(b"half")
    assert newest(tmp_path) == (None, [])


def test_the_last_two_are_kept_by_number_and_not_by_name(tmp_path: Path) -> None:
    for fold, server_round in ((0, 8), (0, 9), (0, 10), (1, 1)):
        save(tmp_path, checkpoint(server_round, fold))
        assert same(newest(tmp_path)[0], checkpoint(server_round, fold))
    assert kept(tmp_path) == ["fold-0-round-10.safetensors", "fold-1-round-1.safetensors"]


def damaged(tmp_path: Path, data: bytes) -> tuple[Checkpoint | None, list[str]]:
    """Return what is found where round 2 has ``data`` and round 1 is whole."""
    save(tmp_path, checkpoint(1, shift=1.0))
    (tmp_path / "checkpoints" / "fold-0-round-2.safetensors").write_bytes(data)
    return newest(tmp_path)


def whole_bytes(tmp_path: Path) -> bytes:
    save(tmp_path, checkpoint(2))
    return (tmp_path / "checkpoints" / "fold-0-round-2.safetensors").read_bytes()


def test_half_written_is_passed_over_at_every_length(tmp_path: Path) -> None:
    data = whole_bytes(tmp_path)
    for length in [*range(0, 20), *random.Random(0).sample(range(20, len(data)), 30)]:
        back, said = damaged(tmp_path, data[:length])
        assert same(back, checkpoint(1, shift=1.0))
        assert len(said) == 1
        assert said[0].startswith("fold-0-round-2.safetensors is damaged")


@settings(max_examples=150, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_found_or_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, place: float, bit: int
) -> None:
    folder = tmp_path_factory.mktemp("flip")
    data = bytearray(whole_bytes(folder))
    data[int(place * len(data))] ^= 1 << bit
    back, said = damaged(folder, bytes(data))
    assert same(back, checkpoint(1, shift=1.0) if said else checkpoint(2))


@pytest.mark.parametrize("content", ["parameters", "name", "dtype", "no header", "not finite"])
def test_what_another_hand_wrote_is_passed_over(tmp_path: Path, content: str) -> None:
    data = whole_bytes(tmp_path)
    file = tmp_path / "checkpoints" / "fold-0-round-2.safetensors"
    if content == "name":  # that of round 1 under the name of round 2
        save(tmp_path, checkpoint(1, shift=1.0))
        data = (tmp_path / "checkpoints" / "fold-0-round-1.safetensors").read_bytes()
    else:
        with safe_open(file, "np") as opened:
            params, header = opened.get_tensor("params"), opened.metadata()
        changed = {
            "parameters": params + 1,
            "dtype": np.zeros(params.shape, np.float32),
            "not finite": params * np.nan,
        }
        save_file(
            {"params": changed.get(content, params)}, file, None if "header" in content else header
        )
        data = file.read_bytes()
    back, said = damaged(tmp_path, data)
    assert same(back, checkpoint(1, shift=1.0))
    assert len(said) == 1


def test_none_whole_is_e805(tmp_path: Path) -> None:
    save(tmp_path, checkpoint(1))
    for file in (tmp_path / "checkpoints").iterdir():
        file.write_bytes(b"")
    with pytest.raises(StorageError, match=r"no checkpoint in .* is whole") as caught:
        newest(tmp_path)
    assert (caught.value.code, caught.value.exit_code) == ("E805", 8)


class Bomb:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("name", ["last.pt", "fold-0-round-9.pt", "fold-0-round-9.safetensors"])
def test_nothing_is_unpickled(tmp_path: Path, name: str) -> None:
    save(tmp_path, checkpoint(1))
    mark = tmp_path / "exploded"
    (tmp_path / "checkpoints" / name).write_bytes(pickle.dumps(Bomb(mark)))
    if name.endswith(".pt"):
        with pytest.raises(StorageError, match="safetensors only") as caught:
            newest(tmp_path)
        assert caught.value.code == "E805"
    else:
        assert same(newest(tmp_path)[0], checkpoint(1))
    assert not mark.exists()


def test_one_round_is_found_where_it_is_kept_and_whole(tmp_path: Path) -> None:
    for server_round in (1, 2, 3):
        save(tmp_path, checkpoint(server_round, shift=server_round))
    assert same(after(tmp_path, 0, 2), checkpoint(2, shift=2))
    assert same(after(tmp_path, 0, 3), checkpoint(3, shift=3))
    assert after(tmp_path, 0, 1) is None  # dropped
    assert after(tmp_path, 1, 3) is None
    path = tmp_path / "checkpoints" / "fold-0-round-2.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    assert after(tmp_path, 0, 2) is None
