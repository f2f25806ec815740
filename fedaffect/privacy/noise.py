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
from typing import TYPE_CHECKING, ClassVar, Literal, NoReturn, Self

import numpy as np

from fedaffect.privacy.keyfile import load_or_create

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers import CipherContext

CHUNK = 8192  # pairs of normal draws that are worked on at a time: they fit in the cache


@dataclass(frozen=True)
class KeyedStream:
    """Uniform, Gaussian and Laplace draws from one derived key. A stream starts anew every call.

    Args:
        key: 256-bit key of this stream alone.
    """

    key: bytes = field(repr=False)

    def uniform(self, size: int) -> np.ndarray:
        """Return draws from the open interval (0, 1), (size,) float64, odd multiples of 2^-53."""
        words = np.empty(size, dtype="<u8")
        self._cipher().update_into(bytes(8 * size), words.view(np.uint8).data)
        return _open_unit(words)

    def gaussian(self, size: int) -> np.ndarray:
        """Return standard normal draws, (size,) float64.

        A pair of draws takes eight uniforms: four Box-Muller radii and four angles, whose cosines
        give one draw and whose sines the other.
        """
        import torch  # vectorised logarithm, cosine and sine

        pairs = (size + 1) // 2
        cipher = self._cipher()
        zeros = memoryview(bytes(64 * min(pairs, CHUNK)))
        words = np.empty(8 * min(pairs, CHUNK), dtype="<u8")
        sines = torch.empty(4 * min(pairs, CHUNK), dtype=torch.float64, device="cpu")
        draws = torch.empty(2, pairs, dtype=torch.float64, device="cpu")
        for start in range(0, pairs, CHUNK):
            m = min(CHUNK, pairs - start)
            cipher.update_into(zeros[: 64 * m], words[: 8 * m].view(np.uint8).data)
            u = torch.from_numpy(_open_unit(words[: 8 * m])).view(2, 4, m)
            radius = u[0].log_().mul_(-0.5).sqrt_()  # (4, m), half of the Box-Muller radius
            angle = u[1].mul_(2 * torch.pi)
            sine = torch.sin(angle, out=sines[: 4 * m].view(4, m)).mul_(radius)
            cosine = angle.cos_().mul_(radius)
            torch.sum(cosine, 0, out=draws[0, start : start + m])
            torch.sum(sine, 0, out=draws[1, start : start + m])
        normal: np.ndarray = draws.view(-1)[:size].numpy()
        return normal

    def laplace(self, size: int) -> np.ndarray:
        """Return Laplace draws of scale 1, (size,) float64: a difference of exponentials."""
        first, second = np.log(self.uniform(2 * size).reshape(2, size))
        difference: np.ndarray = second - first
        return difference

    def _cipher(self) -> CipherContext:
        """Return the cipher at the beginning of the stream; it encrypts zeros."""
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        return Cipher(algorithms.AES(self.key), modes.CTR(bytes(16))).encryptor()


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

    def client(self, client_id: int) -> Self:
        """Return the key of one client, which tells nothing of any other."""
        return type(self)(_derive(self._secret, "client", client_id))

    def check(self) -> str:
        """Return a hex MAC of a constant: two processes compare their keys by it."""
        return _derive(self._secret, "check").hex()

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

    def client(self, client_id: int) -> TestNoiseKey:
        """Return the key of one client."""
        return TestNoiseKey(_derive(self._secret, "client", client_id).hex())

    def check(self) -> str:
        """Return a hex MAC of a constant: two processes compare their keys by it."""
        return _derive(self._secret, "check").hex()


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

    def windows(
        self, fold: int, server_round: int, client_id: int, step: int, n: int, q: float
    ) -> np.ndarray:
        """Return which of ``n`` windows are in a local step, each with probability ``q``.

        Args:
            fold: Number of the evaluation fold.
            server_round: Number of the round.
            client_id: Whose windows.
            step: Number of the local step in the round.
            n: Number of the client's windows.
            q: Sampling rate.

        Returns:
            Ascending positions, (k,) int64 with k ~ Binomial(n, q).
        """
        key = _derive(self.key, "windows", fold, server_round, client_id, step)
        return np.flatnonzero(KeyedStream(key).uniform(n) < q)

    @property
    def salt(self) -> bytes:
        """Secret name of this run's flips; noise keyed by it too is never shared by two runs."""
        return _derive(self.key, "salt")

    def _uniform(self, release: int, client_id: int) -> float:
        word = _derive(self.key, "client", release, client_id)[:8]
        return (int.from_bytes(word, "little") >> 11) * 2.0**-53

    def __reduce__(self) -> NoReturn:
        raise TypeError("secret draws are never pickled: make them where they are used")


def _open_unit(words: np.ndarray) -> np.ndarray:
    """Turn random ``words`` (n,) uint64 in place into float64 from the open interval (0, 1)."""
    words >>= np.uint64(12)
    words |= np.uint64(0x3FF0_0000_0000_0000)  # the bits of 1 + k 2^-52
    unit: np.ndarray = words.view("<f8")
    unit -= 1 - 2.0**-53  # exact: (k + 1/2) 2^-52
    return unit


def _derive(key: bytes, *names: str | int) -> bytes:
    """Return a 256-bit key for the purpose ``names``; different names, independent keys."""
    return hmac.digest(key, json.dumps(["fedaffect", *names]).encode(), "sha256")
