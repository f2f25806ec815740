"""Where values come from: files, environment, -o."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fedaffect.config import RunConfig
from fedaffect.config_sources import resolve
from fedaffect.errors import UsageError


def read(text: str | bytes, tmp_path: Path, **flags: Any) -> tuple[RunConfig, dict[str, str]]:
    """Resolve a TOML file that holds ``text``."""
    path = tmp_path / "run.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return resolve(flags, (), path, {})


def refusal(text: str | bytes, tmp_path: Path, **flags: Any) -> UsageError:
    """Return the error of a TOML file, without the folder in its message."""
    with pytest.raises(UsageError) as caught:
        read(text, tmp_path, **flags)
    error = caught.value
    assert error.do
    return UsageError(error.code, error.message.replace(f"{tmp_path}/", ""), error.do)


class TestFile:
    """Configuration files: what is wrong, and on which line."""

    @pytest.mark.parametrize(
        ("text", "line", "near"),
        [
            ("[dp]\n\n# a comment\nepsilonn = 5\n", 4, "dp.eps"),
            ("[federaton]\nrounds = 1\n", 2, "federation.rounds"),
            ("rounds = 3\n", 1, "federation.rounds"),
            ("[run]\nseed = 1\n[dp]\nseed = 2\n", 4, "run.seed"),
            ("dp.epss = 2\n", 1, "dp.eps"),
            ("[[federation]]\nclients = 3\n", 1, "federation"),
        ],
    )
    def test_f1_unknown_key(self, tmp_path: Path, text: str, line: int, near: str) -> None:
        error = refusal(text, tmp_path)
        assert error.code == "E211"
        assert error.message.startswith(f"run.toml:{line}: key ")
        assert near in error.do

    @pytest.mark.parametrize(
        ("text", "code", "line", "words"),
        [
            ('[federation]\nrounds = "ten"\n', "E201", 2, "not a plain number"),
            ("[federation]\n\n\nrounds = 2.5\n", "E201", 4, "not a whole number"),
            ("[federation]\nrounds = 0\n", "E203", 2, ">= 1"),
            ("[federation]\nrounds = nan\n", "E202", 2, "finite"),
            ("[federation]\nrounds = true\n", "E201", 2, "not a plain number"),
            ("[federation]\nrounds = 1979-05-27\n", "E201", 2, "not a plain number"),
            ("[federation]\nlr = [0.1]\n", "E201", 2, "not a plain number"),
            ("[federation.rounds]\nx = 1\n", "E201", 1, "not a plain number"),
            ("federation = {lr = 1, rounds = 0}\n", "E203", 1, ">= 1"),
            ("\nfederation.rounds = -1\n", "E203", 2, ">= 1"),
            ("[federation]\n'rounds' = -1\n", "E203", 2, ">= 1"),
            ("[data]\nname = 3\n", "E212", 2, "valid string"),
            ("[data]\nname = 'wesat'\n", "E210", 2, "wesat"),
            ("[data]\neval = 'blok'\n", "E212", 2, "'blocks'"),
            ("[data]\nallow_missing = 'perhaps'\n", "E212", 2, "boolean"),
            ("[data]\nroot = 3\n", "E212", 2, "path"),
            ('[data]\nroot = "a\\u0000b"\n', "E212", 2, "NUL"),
            ('[run]\nout = "\\u0000"\n', "E212", 2, "NUL"),
            ("[synthetic]\npeople = 1\n", "E203", 2, ">= 2"),
            ("[dp]\nmechanism = 'gaussian'\n", "E220", 2, "budget"),
        ],
    )
    def test_f2_wrong_value(
        self, tmp_path: Path, text: str, code: str, line: int, words: str
    ) -> None:
        error = refusal(text, tmp_path)
        assert error.code == code
        assert error.message.startswith(f"run.toml:{line}: ")
        assert words in error.message

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("[federation\n", "line 1"),
            ("[federation]\nrounds = 1\nrounds = 2\n", "line 3"),
            (b"\xff\xfe[\x00", "utf-8"),
            (b"a = '\x00'", "line 1"),
            ("x = " + "[" * 100_000, "not TOML"),
            ("x = " + "9" * 5000, "not TOML"),
            ("x = '" + "a" * 1024**2 + "'", "larger than 1 MiB"),
        ],
    )
    def test_f3_not_toml(self, tmp_path: Path, text: str | bytes, words: str) -> None:
        error = refusal(text, tmp_path)
        assert error.code == "E213"
        assert words in error.message

    def test_f3_endless_and_unreadable(self, tmp_path: Path) -> None:
        for path, words in [
            (Path("/dev/zero"), "larger than 1 MiB"),
            (tmp_path, "directory"),
            (tmp_path / "missing.toml", "No such file"),
        ]:
            with pytest.raises(UsageError, match=words) as caught:
                resolve({}, (), path, {})
            assert caught.value.code == "E213"

    @pytest.mark.parametrize("text", [b"", b"\xef\xbb\xbf", b"# nothing\n", b"[dp]\n"])
    def test_f3_empty_is_all_defaults(self, tmp_path: Path, text: bytes) -> None:
        config, origins = read(text, tmp_path)
        assert config == RunConfig()
        assert set(origins.values()) == {"default"}

    def test_f3_byte_order_mark(self, tmp_path: Path) -> None:
        config, _ = read(b"\xef\xbb\xbf[federation]\r\nrounds = 3\r\n", tmp_path)
        assert config.federation.rounds == 3

    def test_f4_flag_wins(self, tmp_path: Path) -> None:
        config, origins = read("[federation]\nrounds = 3\n", tmp_path, rounds="5")
        assert config.federation.rounds == 5
        assert origins["federation.rounds"] == "--rounds"

    def test_f4_a_bad_value_that_loses_is_not_read(self, tmp_path: Path) -> None:
        config, _ = read("[federation]\nrounds = 0\n", tmp_path, rounds="5")
        assert config.federation.rounds == 5

    def test_f4_a_bad_flag_is_not_blamed_on_the_file(self, tmp_path: Path) -> None:
        error = refusal("[federation]\nrounds = 3\n", tmp_path, rounds="0")
        assert error.message.startswith("--rounds 0 ")

    @pytest.mark.parametrize("version", ["2", "0", "-1", "'1'", "1.0", "true", "[1]"])
    def test_f5_other_version(self, tmp_path: Path, version: str) -> None:
        error = refusal(f"schema_version = {version}\n", tmp_path)
        assert error.code == "E214"
        assert "reads 1" in error.message

    def test_f5_this_version(self, tmp_path: Path) -> None:
        assert read("schema_version = 1\n", tmp_path)[0] == RunConfig()


class TestEnvironmentAndOverrides:
    @pytest.mark.parametrize(
        ("name", "near"),
        [
            ("FEDAFFECT_DP__EPSS", "dp.eps"),
            ("FEDAFFECT_ROUNDS", "federation.rounds"),
            ("FEDAFFECT_DP_EPS", "dp"),
            ("FEDAFFECT_", "federation"),
            ("FEDAFFECT_DP__", "dp.eps"),
        ],
    )
    def test_unknown_names(self, name: str, near: str) -> None:
        with pytest.raises(UsageError, match=name) as caught:
            resolve({}, (), None, {name: "1"})
        assert caught.value.code == "E211"
        assert near in caught.value.do

    def test_other_programs_variables_are_not_read(self) -> None:
        others = {"FEDAFFECTED_X": "1", "fedaffect_dp__eps": "1", "PATH": "/", "FEDAFFECT_HOME": ""}
        assert resolve({}, (), None, others)[0] == RunConfig()

    def test_a_bad_value_names_the_environment(self) -> None:
        with pytest.raises(UsageError, match="environment: --rounds 0 is out of range"):
            resolve({}, (), None, {"FEDAFFECT_FEDERATION__ROUNDS": "0"})

    @pytest.mark.parametrize(
        ("text", "code", "words"),
        [
            ("dp.eps", "E211", "has no value"),
            ("dp.epsilonn=3", "E211", "'dp.epsilonn' is not known"),
            ("=3", "E211", "'' is not known"),
            ("dp=3", "E211", "'dp' is not known"),
            ("schema_version=9", "E211", "not known"),
            ("federation.rounds=0", "E203", "-o federation.rounds: --rounds 0"),
            ("federation.rounds=true", "E201", "True"),
            ("federation.rounds=" + "[" * 5000, "E201", "not a plain number"),
            ("federation.rounds=", "E201", "not a plain number"),
            ("data.name=3", "E212", "valid string"),
        ],
    )
    def test_bad_overrides(self, text: str, code: str, words: str) -> None:
        with pytest.raises(UsageError) as caught:
            resolve({}, (text,), None, {})
        assert caught.value.code == code
        assert words in caught.value.message
        assert caught.value.do

    def test_an_override_is_toml_or_else_text(self) -> None:
        texts = (
            "data.eval=loso",
            'data.partition="iid"',
            "run.reference=false",
            " federation.lr = 2 ",
        )
        config, _ = resolve({}, texts, None, {})
        assert (config.data.eval, config.data.partition) == ("loso", "iid")
        assert (config.run.reference, config.federation.lr) == (False, 2.0)

    def test_the_last_override_wins(self) -> None:
        config, _ = resolve({}, ("run.seed=1", "run.seed=2"), None, {})
        assert config.run.seed == 2
