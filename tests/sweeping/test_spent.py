import re

import pytest
from finished_run import KEY, TERMS, counted

from fedaffect.home import state_home
from fedaffect.privacy.ledger import Charge, Ledger
from fedaffect.privacy.noise import SecretNoiseKey
from fedaffect.sweeping.spent import NOT_ACCOUNTED, spent_by


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setenv("FEDAFFECT_HOME", str(tmp_path))
    assert KEY.kind == "secret"
    return state_home()


def charge(home, run, releases, terms=TERMS):
    with Ledger.open(home, "synthetic", SecretNoiseKey.load(home)) as ledger:
        for release in range(1, releases + 1):
            ledger.charge(run, [Charge(release, b"sum", "server", None, terms)], releases)


def told_eps(line: str) -> float:
    found = re.search(r"\(eps=([\d.]+), delta=([\de-]+)\)", line)
    assert found is not None
    return float(found[1])


def test_without_a_ledger_nothing_was_spent(site):
    assert spent_by({"a"}, "synthetic") == ()


def test_runs_of_others_alone_are_not_told(site):
    charge(site, "other", 3)
    assert spent_by({"a"}, "synthetic") == ()


def test_gaussian_runs_are_composed_exactly_and_told_apart_from_the_site(site):
    charge(site, "a", 3)
    charge(site, "b", 3)
    charge(site, "other", 3)
    own, site_line, warning = spent_by({"a", "b"}, "synthetic")
    assert warning == NOT_ACCOUNTED
    # Two and three times three releases, at the summed deltas: Balle & Wang, theorem 8.
    for line, runs in ((own, 2), (site_line, 3)):
        terms = type(TERMS)(**{**TERMS.to_dict(), "delta": runs * TERMS.delta})
        exact = counted(terms, 3 * runs)["eps"]
        assert exact <= told_eps(line) <= exact + 0.01
    assert "Of 2 private runs of this sweep on synthetic, 2 have spent" in own
    assert "Of 3 private runs of this site on synthetic, 3 have spent" in site_line
    assert "for one client (zero_out; observer: " in own


def test_a_run_in_the_clear_leaves_no_total(site):
    clear = type(TERMS)(**{**TERMS.to_dict(), "clear": True})
    charge(site, "a", 3)
    charge(site, "b", 1, clear)
    lines = spent_by({"a", "b"}, "synthetic")
    assert "Of 2 private runs of this sweep on synthetic, 1 have no finite epsilon" in lines[1]
