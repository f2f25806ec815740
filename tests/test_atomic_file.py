from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fedaffect.atomic_file import write_bytes_atomic, write_json_atomic, write_text_atomic
from fedaffect.errors import StorageError


def test_replaces_whole_files_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    for content in (b"old" * 1000, b"", bytes(range(256))):
        write_bytes_atomic(path, content)
        assert path.read_bytes() == content
        assert list(tmp_path.iterdir()) == [path]


def test_json_is_the_same_bytes_for_the_same_content(tmp_path: Path) -> None:
    one, other = tmp_path / "1", tmp_path / "2"
    write_json_atomic(one, {"b": 1, "a": [0.1, None, "é\u2028"]})
    write_json_atomic(other, {"a": [0.1, None, "é\u2028"], "b": 1})
    assert one.read_bytes() == other.read_bytes()
    assert one.read_bytes().isascii()
    assert json.loads(one.read_text()) == {"a": [0.1, None, "é\u2028"], "b": 1}


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_json_without_nan(tmp_path: Path, bad: float) -> None:
    path = tmp_path / "x.json"
    path.write_text("old")
    with pytest.raises(ValueError, match="JSON"):
        write_json_atomic(path, {"a": bad})
    assert path.read_text() == "old"


def test_text_that_is_no_unicode_is_still_written(tmp_path: Path) -> None:
    write_text_atomic(tmp_path / "x", "a\ud800b")
    assert (tmp_path / "x").read_bytes() == b"a?b"


def test_a_link_is_replaced_not_followed(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("keep")
    link.symlink_to(target)
    write_text_atomic(link, "new")
    assert (target.read_text(), link.read_text(), link.is_symlink()) == ("keep", "new", False)


@pytest.mark.parametrize("where", ["missing/x", "file/x", "folder"])
def test_what_cannot_be_written(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "keep").touch()
    with pytest.raises(StorageError, match="cannot write") as caught:
        write_bytes_atomic(tmp_path / where, b"x")
    assert caught.value.code == "E803"
    assert {p.name for p in tmp_path.rglob("*")} == {"file", "folder", "keep"}


def test_a_full_disk_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("old")
    code = (
        "import sys; from pathlib import Path; from fedaffect.errors import StorageError\n"
        "from fedaffect.atomic_file import write_bytes_atomic\n"
        "try: write_bytes_atomic(Path(sys.argv[1]), bytes(10**6))\n"
        "except StorageError as error: sys.exit(error.code)"
    )

    def small_disk() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write fails instead, as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=small_disk,
    )
    assert done.stderr.strip() == "E803"
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_killed_while_writing_leaves_old_or_new(tmp_path: Path) -> None:
    path = tmp_path / "x"
    sizes = [200_000, 300_000]
    code = (
        "import sys; from pathlib import Path\n"
        "from fedaffect.atomic_file import write_bytes_atomic\n"
        "print('go', flush=True)\n"
        f"while True:\n for n in {sizes}: write_bytes_atomic(Path(sys.argv[1]), bytes(n))"
    )
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE
        ) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"go\n"
            while not path.exists():
                pass
            writer.kill()
        assert path.stat().st_size in sizes
