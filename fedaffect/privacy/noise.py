"""Privacy noise: streams keyed by a secret, apart from every published seed.

A stream is AES-256-CTR under a key that HMAC-SHA256 derives from (secret, release, block, digest
of the exact inputs). Equal inputs repeat the same release at no cost, as a resumed run needs;
any other input gets independent noise, so that no two sums can be subtracted.

Draws are in float64 with a constant number of uniforms each. A Gaussian is the sum of four
Box-Muller draws / 2, against attacks on the float format (Holohan & Braghin 2021): mitigated,
not proven.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, NoReturn

import numpy as np

from fedaffect.privacy.keyfile import load_or_create


@dataclass(frozen=True)
class KeyedStream:
    """Uniform, Gaussian and Laplace draws from one derived key. A stream starts anew every call.

    Args:
        key: 256-bit key of this stream alone.
    """

    key: bytes = field(repr=False)

    def uniform(self, size: int) -> np.ndarray:
        """Return draws from the open interval (0, 1), (size,) float64, multiples of 2^-53."""
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        cipher = Cipher(algorithms.AES(self.key), modes.CTR(bytes(16))).encryptor()
        words = np.frombuffer(cipher.update(bytes(8 * size)), dtype="<u8")
        draws: np.ndarray = np.add(words >> 12, 0.5, dtype=np.float64) * 2.0**-52
        return draws

    def gaussian(self, size: int) -> np.ndarray:
        """Return standard normal draws, (size,) float64."""
        half = (size + 1) // 2
        u = self.uniform(8 * half).reshape(2, 4, half)
        radius, angle = np.sqrt(-2 * np.log(u[0])), 2 * np.pi * u[1]  # (4, half) each
        cosines = (radius * np.cos(angle)).sum(axis=0)  # (half,), standard deviation 2
        sines = (radius * np.sin(angle)).sum(axis=0)
        return np.concatenate([cosines, sines])[:size] / 2

    def laplace(self, size: int) -> np.ndarray:
        """Return Laplace draws of scale 1, (size,) float64: a difference of exponentials."""
        first, second = np.log(self.uniform(2 * size).reshape(2, size))
        difference: np.ndarray = second - first
        return difference


class SecretNoiseKey:
    """The noise key of this site: 256 bits from the operating system, in a file of mode 0600.

    The key cannot be printed or pickled: it never travels in a message or to a worker.
    """

    kind: ClassVar[Literal["secret"]] = "secret"

    def __init__(self, secret: bytes) -> None:
        if len(secret) != 32:
            raise ValueError("a noise key has 32 bytes")
        self._secret = secret

    @classmethod
    def load(cls, home: Path) -> SecretNoiseKey:
        """Read ``home/noise.key``; make it where it is missing.

        Args:
            home: The state folder (``fedaffect.home.state_home()``).

        Raises:
            PrivacyError: E403 the file is no key, or others may read it.
        """
        return cls(load_or_create(home / "noise.key"))

    def stream(self, *, release: int, block: str, inputs: bytes) -> KeyedStream:
        """Return the stream of one block of one release with these inputs (a digest)."""
        return KeyedStream(_derive(self._secret, "noise", release, block, inputs.hex()))

    def seal(self, digest: bytes) -> str:
        """Return a hex MAC of ``digest``; the bare digest would confirm a guess of the data."""
        return _derive(self._secret, "seal", digest.hex()).hex()

    def draws(self, run: str) -> SecretDraws:
        """Return the secret coin flips of the run called ``run``."""
        return SecretDraws(_derive(self._secret, "draws", run))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a noise key is never pickled: read it from its file where noise is drawn")


class TestNoiseKey:
    """Noise that anyone can repeat, so that engines can be compared. It protects nobody.

    Args:
        text: What ``--unsafe-test-noise`` was given.
    """

    __test__ = False  # pytest: not a test class
    kind: ClassVar[Literal["unsafe-test"]] = "unsafe-test"

    def __init__(self, text: str) -> None:
        self._secret = hashlib.sha256(f"fedaffect unsafe test noise {text}".encode()).digest()

    def stream(self, *, release: int, block: str, inputs: bytes) -> KeyedStream:
        """Return the stream of one block of one release, whatever the inputs."""
        return KeyedStream(_derive(self._secret, "noise", release, block))

    def seal(self, digest: bytes) -> str:
        """Return a hex MAC of ``digest``."""
        return _derive(self._secret, "seal", digest.hex()).hex()

    def draws(self, run: str) -> SecretDraws:
        """Return repeatable coin flips, whatever the run."""
        return SecretDraws(_derive(self._secret, "draws"))


@dataclass(frozen=True)
class SecretDraws:
    """Who takes part: independent coin flips of one run, for which amplification is claimed.

    Two runs have independent flips; with shared ones the second would amplify nothing.

    Args:
        key: 256-bit key of this run's draws.
    """

    key: bytes = field(repr=False)

    def bernoulli(self, release: int, client_ids: list[int], q: float) -> list[int]:
        """Return the clients that take part in ``release``, each with probability ``q``.

        A client's flip depends on its id alone, not on who else is asked.
        """
        return [i for i in client_ids if self._uniform(release, i) < q]

    def _uniform(self, release: int, client_id: int) -> float:
        word = _derive(self.key, "client", release, client_id)[:8]
        return (int.from_bytes(word, "little") >> 11) * 2.0**-53

    def __reduce__(self) -> NoReturn:
        raise TypeError("secret draws are never pickled: make them where they are used")


def _derive(key: bytes, *names: str | int) -> bytes:
    """Return a 256-bit key for the purpose ``names``; different names, independent keys."""
    return hmac.digest(key, json.dumps(["fedaffect", *names]).encode(), "sha256")
