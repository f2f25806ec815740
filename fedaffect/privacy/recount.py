"""A privacy statement counted again, from what the ledger says was paid for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fedaffect.errors import PrivacyError
from fedaffect.privacy.charges import Account, Terms

TOLERANCE = 1e-3  # relative, of eps
_PROMISES = ("eps", "delta", "mu", "eps_pure")
_SAME = ("mechanism", "unit", "adjacency", "where", "delta", "z")


def recount(statement: Mapping[str, Any], account: Account | None) -> str:
    """Compare what a statement promises with what the paid releases cost, counted anew.

    A statement may count all releases or only those that can depend on one client; between the
    two it must lie.

    Args:
        statement: ``privacy.json`` of the run.
        account: What the ledger's lines say; ``None`` where the run was charged to none.

    Returns:
        What was found, in one line.

    Raises:
        PrivacyError: E407 a field is missing; E408 the statement promises what does not follow.
    """
    status, done = _field(statement, "status"), _field(statement, "releases_done")
    if account is not None and done != account.spent():
        raise _contradicted(f"states {done} releases, the ledger {account.spent()}")
    if status != "FORMAL":
        promised = [name for name in _PROMISES if statement.get(name) is not None]
        if promised:
            raise _contradicted(f"has status {status} and yet promises {', '.join(promised)}")
        return f"status {status}: nothing is promised"
    if account is None:
        raise _contradicted("is FORMAL, but no ledger was charged")
    if _field(statement, "noise_key_kind") != "secret":
        raise _contradicted("is FORMAL, but its noise can be repeated by others")
    terms = account.terms
    if not terms.finite:
        raise _contradicted("is FORMAL, but a block left in the clear or without noise")
    for name in _SAME:
        if _field(statement, name) != getattr(terms, name):
            raise _contradicted(
                f"states {name} {statement[name]}, the ledger {getattr(terms, name)}"
            )
    return _count(statement, terms, account)


def _count(statement: Mapping[str, Any], terms: Terms, account: Account) -> str:
    from fedaffect.privacy.accountants import accountant

    told = _field(statement, "accountant")
    fewest, all_of_them = (terms.event(n) for n in (account.exposures(), account.spent()))
    first, second = accountant("tight", all_of_them), accountant("rdp", all_of_them)
    if told["name"] == second.name:
        first, second = second, first
    found = []
    for counting, name, eps in (
        (first, told["name"], _field(statement, "eps")),
        (second, told["cross_check"]["name"], told["cross_check"]["eps"]),
    ):
        least = counting.epsilon(fewest, terms.delta)
        most = counting.epsilon(all_of_them, terms.delta)
        found.append(f"eps {most:.6g} by {counting.name}")
        if name != counting.name:
            raise _contradicted(f"was counted by {name}, which is not known for such releases")
        if not least * (1 - TOLERANCE) <= eps <= most * (1 + TOLERANCE):
            raise _contradicted(
                f"states eps {eps:.6g} by {name}, but {account.spent()} releases of its terms cost "
                f"{most:.6g}"
            )
    return f"{', '.join(found)} at delta {terms.delta:g}, as stated"


def _field(statement: Mapping[str, Any], name: str) -> Any:
    if name not in statement:
        raise PrivacyError("E407", f"privacy statement lacks {name}")
    return statement[name]


def _contradicted(why: str) -> PrivacyError:
    return PrivacyError(
        "E408", f"the privacy statement {why}", do="do not rely on what this run promises"
    )
