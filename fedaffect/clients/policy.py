"""What a site lets its data be used for, whatever a server asks."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedaffect.errors import PrivacyError
from fedaffect.privacy.charges import Terms

FILE = "policy.toml"


@dataclass(frozen=True)
class Policy:
    """Limits of a site; ``None`` sets none. The file ``policy.toml`` has the same keys.

    Args:
        max_eps: Largest total eps of all runs on one data set, this one included (basic
            composition over runs); it also refuses runs without a finite eps.
        max_delta: Largest delta of one run.
        max_rounds: Largest number of rounds of one run.
        min_noise_multiplier: Smallest z, noise / sensitivity, of a release.
        max_clip: Largest clip norm C of one contribution.
        noise_at: ``client`` refuses runs whose server adds the noise: the site trusts nobody.
        units: Units of protection that are allowed: ``client``, ``window``.
        data_sets: Names of the data sets that may be used.
    """

    max_eps: float | None = None
    max_delta: float | None = None
    max_rounds: int | None = None
    min_noise_multiplier: float | None = None
    max_clip: float | None = None
    noise_at: str | None = None
    units: tuple[str, ...] | None = None
    data_sets: tuple[str, ...] | None = None

    @classmethod
    def read(cls, home: Path) -> Policy:
        """Read ``policy.toml`` in the state folder ``home``; a missing file sets no limits.

        Raises:
            PrivacyError: E412 the file cannot be read, or a key or value is not allowed.
        """
        path = home / FILE
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return cls()
        except OSError as error:
            raise _refused(path, f"cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise _refused(path, f"is not TOML: {error}") from error
        for name, value in values.items():
            if name not in _VALUES:
                raise _refused(path, f"has an unknown key {name!r}")
            allowed, holds = _VALUES[name]
            if not holds(value):
                raise _refused(path, f"sets {name} to {value!r}, allowed is {allowed}")
        fields: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        return cls(**fields)

    def refusal(
        self,
        data_set: str,
        terms: Terms,
        rounds: int,
        clip: float,
        spent_eps: float,
        next_eps: float | None,
    ) -> str | None:
        """Return in one sentence why a run is refused; ``None`` where it is allowed.

        Args:
            data_set: Name of the data set.
            terms: What the releases of the run are.
            rounds: Planned rounds.
            clip: Largest clip norm C of one contribution.
            spent_eps: Total eps of the other runs on the data set.
            next_eps: Total eps of this run; ``None`` where it has no finite one.
        """
        eps = next_eps if next_eps is not None and terms.finite else math.inf
        if self.data_sets is not None and data_set not in self.data_sets:
            return self._no("data_sets", f"data set {data_set} is not for use")
        if self.units is not None and terms.unit not in self.units:
            return self._no("units", f"unit {terms.unit} is not allowed")
        if self.noise_at == "client" and terms.where != "client":
            return self._no("noise_at", "the server would add the noise, and see what it covers")
        for name, value in (
            ("max_delta", terms.delta),
            ("max_rounds", rounds),
            ("max_clip", clip),
        ):
            limit = getattr(self, name)
            if limit is not None and not value <= limit:
                return self._no(name, f"{value:g} is above {limit:g}")
        least = self.min_noise_multiplier
        if least is not None and not terms.z >= least:
            return self._no("min_noise_multiplier", f"{terms.z:g} is below {least:g}")
        if self.max_eps is not None and not spent_eps + eps <= self.max_eps:
            told = f"{spent_eps:g} of other runs and {eps:g} of this one are above {self.max_eps:g}"
            return self._no("max_eps", told)
        return None

    def _no(self, name: str, why: str) -> str:
        return f"the policy of this site refuses the run by {name}: {why}"


def _is_positive(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value < math.inf


def _is_list(*allowed: str) -> Callable[[Any], bool]:
    def holds(value: Any) -> bool:
        return isinstance(value, list) and all(
            isinstance(word, str) and (not allowed or word in allowed) for word in value
        )

    return holds


_POSITIVE = ("a number above 0", _is_positive)
_VALUES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "max_eps": _POSITIVE,
    "max_delta": _POSITIVE,
    "max_rounds": ("a whole number above 0", lambda v: type(v) is int and v > 0),
    "min_noise_multiplier": _POSITIVE,
    "max_clip": _POSITIVE,
    "noise_at": ("'client'", lambda v: v == "client"),
    "units": ("a list of 'client' and 'window'", _is_list("client", "window")),
    "data_sets": ("a list of names", _is_list()),
}


def _refused(path: Path, why: str) -> PrivacyError:
    known = ", ".join(_VALUES)
    return PrivacyError("E412", f"policy {path} {why}", do=f"correct it; known keys: {known}")
