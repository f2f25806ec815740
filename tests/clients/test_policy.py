"""A site's policy: every limit refuses just beyond it, and a bad file is refused whole."""

from __future__ import annotations

import math
import tomllib
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from fedaffect.clients.policy import Policy
from fedaffect.errors import PrivacyError
from fedaffect.privacy.ledger import Terms

TERMS = Terms(
    mechanism="gaussian",
    noise="gaussian",
    z=2.0,
    rate=1.0,
    adjacency="replace_one",
    unit="client",
    where="client",
    blocks=("shared",),
    clear=False,
    eps=3.0,
    delta=1e-5,
)
RUN: dict[str, Any] = {
    "data_set": "wesad",
    "terms": TERMS,
    "rounds": 10,
    "clip": 1.0,
    "spent_eps": 4.0,
    "next_eps": 3.0,
}


def policy(home: Path, text: str) -> Policy:
    (home / "policy.toml").write_text(text)
    return Policy.read(home)


def test_without_a_file_everything_is_allowed(tmp_path: Path) -> None:
    assert Policy.read(tmp_path) == Policy()
    worst = replace(TERMS, z=0.0, where="server", unit="window", clear=True)
    assert Policy().refusal("any", worst, 10**9, math.inf, math.inf, None) is None


LIMITS = {
    # key: a value that just allows RUN, one that just does not
    "max_eps": ("7.0", "6.99"),
    "max_delta": ("1e-5", "9.9e-6"),
    "max_rounds": ("10", "9"),
    "min_noise_multiplier": ("2", "2.01"),
    "max_clip": ("1", "0.99"),
    "units": ("['window', 'client']", "['window']"),
    "data_sets": ("['wesad']", "['wesad2', 'stress-predict']"),
}


@pytest.mark.parametrize("key", LIMITS)
def test_a_limit_refuses_just_beyond_it(tmp_path: Path, key: str) -> None:
    allows, refuses = LIMITS[key]
    assert policy(tmp_path, f"{key} = {allows}").refusal(**RUN) is None
    why = policy(tmp_path, f"{key} = {refuses}").refusal(**RUN)
    assert why is not None
    assert why.startswith(f"the policy of this site refuses the run by {key}: ")
    assert "\n" not in why


def test_noise_at_the_client(tmp_path: Path) -> None:
    strict = policy(tmp_path, "noise_at = 'client'")
    assert strict.refusal(**RUN) is None
    why = strict.refusal(**{**RUN, "terms": replace(TERMS, where="server")})
    assert why is not None and "noise_at" in why


def test_every_limit_was_tried() -> None:
    assert {field.name for field in fields(Policy)} == {*LIMITS, "noise_at"}


@pytest.mark.parametrize(
    "change",
    [
        {"next_eps": None},
        {"next_eps": math.inf},
        {"next_eps": math.nan},
        {"spent_eps": math.inf},
        {"spent_eps": math.nan},
        {"terms": replace(TERMS, clear=True)},
        {"terms": replace(TERMS, z=0.0)},
    ],
)
def test_a_cap_on_eps_refuses_what_has_no_finite_eps(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    capped = policy(tmp_path, "max_eps = 1e300")
    assert capped.refusal(**RUN) is None
    why = capped.refusal(**{**RUN, **change})
    assert why is not None and "max_eps" in why


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_number_that_is_none_passes_no_limit(tmp_path: Path, number: float) -> None:
    assert policy(tmp_path, "max_clip = 1e300").refusal(**{**RUN, "clip": number}) is not None


def test_all_keys_together(tmp_path: Path) -> None:
    text = "\n".join(f"{key} = {allows}" for key, (allows, _) in LIMITS.items())
    read = policy(tmp_path, text + "\nnoise_at = 'client'")
    assert read.refusal(**RUN) is None
    told = {**tomllib.loads(text), "noise_at": "client"}
    lists = {key: tuple(value) for key, value in told.items() if isinstance(value, list)}
    assert read == Policy(**{**told, **lists})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("max_epsilon = 3", "unknown key 'max_epsilon'"),
        ("[max_eps]\nvalue = 3", "sets max_eps to "),
        ("max_eps = '3'", "allowed is a number above 0"),
        ("max_eps = true", "allowed is a number above 0"),
        ("max_eps = nan", "allowed is a number above 0"),
        ("max_eps = inf", "allowed is a number above 0"),
        ("max_eps = -1", "allowed is a number above 0"),
        ("max_clip = 0", "allowed is a number above 0"),
        ("max_delta = []", "allowed is a number above 0"),
        ("min_noise_multiplier = 0", "allowed is a number above 0"),
        ("max_rounds = 2.5", "allowed is a whole number above 0"),
        ("max_rounds = true", "allowed is a whole number above 0"),
        ("max_rounds = 0", "allowed is a whole number above 0"),
        ("noise_at = 'server'", "allowed is 'client'"),
        ("noise_at = ['client']", "allowed is 'client'"),
        ("units = 'client'", "a list of 'client' and 'window'"),
        ("units = ['person']", "a list of 'client' and 'window'"),
        ("data_sets = 'wesad'", "a list of names"),
        ("data_sets = [1]", "a list of names"),
        ("max_eps = 3\nmax_eps = 4", "is not TOML"),
        ("max_eps", "is not TOML"),
    ],
)
def test_a_file_that_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(PrivacyError) as caught:
        policy(tmp_path, text)
    assert (caught.value.code, caught.value.exit_code) == ("E412", 4)
    assert words in caught.value.message
    assert "known keys: max_eps, max_delta" in caught.value.do


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(PrivacyError, match="is not TOML") as caught:
        Policy.read(tmp_path)
    assert caught.value.code == "E412"
    (tmp_path / "policy.toml").unlink()
    (tmp_path / "policy.toml").mkdir()
    with pytest.raises(PrivacyError, match="cannot be read") as caught:
        Policy.read(tmp_path)
    assert caught.value.code == "E412"
