"""Any sequence of charges, releases, crashes and batches, against a plain count."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from ledger_cases import file_of, of, opened

from fedaffect.errors import PrivacyError

LIMIT = 3
RUNS = st.sampled_from(["a", "b"])
ITEM = st.tuples(
    st.sampled_from(["server", "client 1", "client 2"]), st.integers(1, 3), st.sampled_from("xy")
)


class LedgerMachine(RuleBasedStateMachine):
    """``paid`` and ``left`` hold what the ledger must know."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp())
        self.ledger = opened(self.home)
        self.paid: dict[str, set[tuple[str, int, str]]] = {"a": set(), "b": set()}
        self.left: dict[str, set[tuple[str, int, str]]] = {"a": set(), "b": set()}

    def teardown(self) -> None:
        self.ledger.close()
        shutil.rmtree(self.home)

    @rule(run=RUNS, items=st.lists(ITEM, min_size=1, max_size=4))
    def charge(self, run: str, items: list[tuple[str, int, str]]) -> None:
        after = self.paid[run] | set(items)
        parties = {party for party, _, _ in items}
        affordable = all(sum(p == party for p, _, _ in after) <= LIMIT for party in parties)
        before = file_of(self.home).read_bytes()
        try:
            self.ledger.charge(run, [of(n, text.encode(), p) for p, n, text in items], LIMIT)
        except PrivacyError as error:
            assert error.code == "E401" and not affordable
            assert file_of(self.home).read_bytes() == before
        else:
            assert affordable
            self.paid[run] = after

    @rule(run=RUNS, items=st.lists(ITEM, min_size=1, max_size=3))
    def release(self, run: str, items: list[tuple[str, int, str]]) -> None:
        try:
            self.ledger.released(run, [of(n, text.encode(), p) for p, n, text in items])
        except PrivacyError as error:
            assert error.code == "E401" and not set(items) <= self.paid[run]
        else:
            assert set(items) <= self.paid[run]
            self.left[run] |= set(items)

    @rule(half_a_line=st.booleans())
    def crash(self, half_a_line: bool) -> None:
        head = self.ledger.head
        self.ledger.close()
        if half_a_line:
            with file_of(self.home).open("a") as file:
                file.write('{"counter": 7, "sta')
        self.ledger = opened(self.home, head)

    @precondition(lambda self: any(self.paid.values()))
    @rule()
    def another_process_looks(self) -> None:
        with opened(self.home, self.ledger.head, must_exist=True) as other:
            assert other.runs() == self.ledger.runs()

    @invariant()
    def counts_agree(self) -> None:
        lines = 0
        for run, paid in self.paid.items():
            count = {p: sum(q == p for q, _, _ in paid) for p, _, _ in paid}
            assert self.ledger.spent(run) == max(count.values(), default=0)
            for party in ("server", "client 1", "client 2"):
                assert self.ledger.spent(run, party) == count.get(party, 0)
            assert len(self.ledger.excerpt(run)) == bool(paid) + len(paid) + len(self.left[run])
            lines += len(self.ledger.excerpt(run))
        assert len(file_of(self.home).read_text().splitlines()) == lines


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
