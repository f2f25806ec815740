import csv
import io

import pytest
from sweep_sample import GAUSSIAN, cell, of_identity, share, swept, three_settings

from fedaffect.sweeping.csv_file import csv_text
from fedaffect.sweeping.tradeoff import OTHER_CHANCE, over_seeds, with_tradeoff


def test_the_mean_over_seeds_keeps_the_intervals_of_people():
    over = over_seeds([share(0.6, 0.1), share(0.8, 0.3)])
    assert over.figure.value == pytest.approx(0.7)
    assert over.figure.low == pytest.approx(0.5)  # mean of .5 and .5
    assert over.figure.high == pytest.approx(0.9)  # mean of .7 and 1.1
    assert (over.lowest, over.highest) == (0.6, 0.8)
    assert over.figure.note == "mean of 2 seeds"


def test_one_seed_is_told_as_it_is():
    assert over_seeds([share(0.6, 0.1)]).figure == share(0.6, 0.1)


def test_an_undefined_seed_makes_the_mean_undefined():
    over = over_seeds([share(0.6), share(None)])
    assert over.figure.value is None
    assert over.figure.note == "n/a (one class)"
    assert over.lowest is None


def test_front_and_hypervolume_of_known_points():
    done = with_tradeoff(three_settings(), ())
    assert {s.name: s.on_front for s in done.settings} == {
        "no DP": True,
        "eps=5": True,
        "eps=9": False,
    }
    # (stress, leak) (.85, .75) and (.65, .3), reference (.5, 1): two rectangles
    assert done.hypervolume == pytest.approx(0.15 * 0.7 + 0.20 * 0.25)
    assert "2 of 3 settings" in done.finding


def test_settings_tell_their_seeds_family_and_weakest_promise():
    weaker = GAUSSIAN.model_copy(update={"eps": 6.0})
    done = with_tradeoff(
        swept(
            cell(1, "eps=5", 0, share(0.6), of_identity(0.3), GAUSSIAN, dp__eps="5"),
            cell(2, "eps=5", 1, share(0.6), of_identity(0.3), weaker, dp__eps="5"),
        ),
        (),
    )
    (setting,) = done.settings
    assert (setting.cells, setting.family) == (("1-eps=5", "2-eps=5"), "gaussian")
    assert setting.privacy.eps == 6.0


def test_a_promise_without_an_epsilon_is_the_weakest():
    none = GAUSSIAN.model_copy(update={"eps": None, "status": "NONE"})
    cells = (
        cell(1, "eps=5", 0, share(0.6), of_identity(0.3), none, dp__eps="5"),
        cell(2, "eps=5", 1, share(0.6), of_identity(0.3), GAUSSIAN, dp__eps="5"),
    )
    (setting,) = with_tradeoff(swept(*cells), ()).settings
    assert setting.privacy.status == "NONE"


def test_other_chance_levels_are_pointed_out():
    more = share(0.3, chance=0.05)
    record = swept(
        cell(1, "clients=10", 0, share(0.6), of_identity(0.3), federation__clients="10"),
        cell(2, "clients=20", 0, share(0.6), more, federation__clients="20"),
    )
    assert OTHER_CHANCE in with_tradeoff(record, ()).notes
    assert OTHER_CHANCE not in with_tradeoff(three_settings(), ()).notes


def test_no_result_has_no_trade_off():
    waiting = three_settings().cells[0].model_copy(update={"state": "failed", "figures": None})
    done = with_tradeoff(swept(waiting), ())
    assert (done.settings, done.hypervolume) == ((), None)
    assert done.finding == "No cell has ended with a result"


def test_the_csv_has_a_line_a_cell_with_every_figure():
    record = with_tradeoff(three_settings(), ())
    rows = list(csv.DictReader(io.StringIO(csv_text(record))))
    assert [row["cell"] for row in rows] == [c.name for c in record.cells]
    assert [row["on_front"] for row in rows] == ["yes"] * 4 + ["no"] * 2
    assert [float(row["stress_value"]) for row in rows] == [0.9, 0.8, 0.6, 0.7, 0.6, 0.6]
    assert [row["eps"] for row in rows] == ["", "", "5.0", "5.0", "", ""]
    assert rows[2]["dp.eps"] == "5"
    assert float(rows[4]["true_total"]) == 9e9


def test_a_failed_cell_has_a_line_without_figures():
    failed = (
        three_settings()
        .cells[0]
        .model_copy(update={"state": "failed", "figures": None, "error": ("E803", "disk full", "")})
    )
    (row,) = csv.DictReader(io.StringIO(csv_text(with_tradeoff(swept(failed), ()))))
    assert (row["state"], row["error"], row["stress_value"]) == ("failed", "E803", "")
    assert None not in row  # as many cells as columns
