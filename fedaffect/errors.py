"""Errors that a user can act on: one stable code, one line what happened, one line what to do.

The first digit of a code is the exit code of the command: E221 exits with 2, E310 with 3.
"""

from __future__ import annotations

EXIT_CODES: dict[int, str] = {
    0: "ok",
    1: "unexpected internal error",
    2: "usage or configuration",
    3: "data missing or invalid",
    4: "privacy stop: budget would be exceeded, unaccounted, or ledger broken",
    5: "network or identity",
    6: "audit gate failed",
    7: "quorum not reached, clients lost",
    8: "run folder or storage",
    130: "interrupted (SIGINT)",
    143: "terminated (SIGTERM)",
}


class FedaffectError(Exception):
    """A failure with a cause and a remedy.

    Args:
        code: Stable code such as ``"E221"``; its first digit is the exit code.
        message: What came, and where. One line.
        do: What is allowed or what to type next. One line, may be empty.
    """

    def __init__(self, code: str, message: str, do: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = " ".join(message.split())
        self.do = " ".join(do.split())

    @property
    def exit_code(self) -> int:
        """Exit code of the process that ends with this error."""
        return int(self.code[1])

    def __str__(self) -> str:
        return f"{self.message} ({self.do})" if self.do else self.message

    def __reduce__(self) -> tuple[type[FedaffectError], tuple[str, str, str]]:
        return type(self), (self.code, self.message, self.do)


class UsageError(FedaffectError):
    """E2xx: an option, a configuration value or a combination of them is not allowed."""


class DataError(FedaffectError):
    """E3xx: data are missing, malformed or implausible."""


class PrivacyError(FedaffectError):
    """E4xx: going on would release something that is not paid for or cannot be accounted."""


class NetworkError(FedaffectError):
    """E5xx: a machine cannot be reached, or is not known to be what it says it is."""


class GateError(FedaffectError):
    """E6xx: an audit found what it was told to fail at."""


class ClientsLostError(FedaffectError):
    """E7xx: too few clients answered."""


class StorageError(FedaffectError):
    """E8xx: the run folder cannot be used or written."""
