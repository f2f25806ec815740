"""Every reply that the server must refuse, as a real Flower message."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, MetricRecord, RecordDict
from hypothesis import given, settings
from hypothesis import strategies as st
from replies import EXPECTED, ROWS, accepted, content, good, reply

from fedaffect.server.validation import Updates, read_hosts

Change = Callable[[RecordDict], None]


def raw(data: bytes) -> ArrayRecord:
    """An array record whose bytes are ``data``, whatever they are."""
    return ArrayRecord({"0": Array("float64", (2, 3), "numpy.ndarray", data)})


def npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=True)
    return out.getvalue()


def only_node_5(updates: Updates, problem: str) -> None:
    """Assert that node 2 lost its clients, by one line that says why, and node 5 nothing."""
    assert updates.client_ids == (1,)
    assert updates.rows.tolist() == [[7.0, 8.0, 9.0]]
    assert updates.losses == (0.5,)
    assert len([line for line in updates.rejected if problem in line]) == 1
    assert all("5" not in line.partition(":")[0] for line in updates.rejected)


def test_valid_replies_come_out_by_client_id() -> None:
    first = reply(2, content([3, 0], ROWS[::-1].astype(np.float32)))
    for replies in ((first, good()), (good(), first)):
        updates = accepted(*replies)
        assert updates.client_ids == (0, 1, 3)
        assert updates.rows.tolist() == [[1, 2, 3], [7, 8, 9], [4, 5, 6]]
        assert updates.rows.dtype == np.float64
        assert updates.losses == (1.5, 0.5, 0.5)
        assert updates.rejected == ()


def with_bytes(data: bytes) -> Change:
    def change(c: RecordDict) -> None:
        c["updates"] = raw(data)

    return change


def with_rows(rows: np.ndarray) -> Change:
    def change(c: RecordDict) -> None:
        c["updates"] = ArrayRecord([rows])

    return change


def with_config(**about: object) -> Change:
    def change(c: RecordDict) -> None:
        for key, value in about.items():
            c.config_records["config"][key.replace("_", "-")] = value  # type: ignore[assignment]

    return change


def without(record: str, key: str = "") -> Change:
    def change(c: RecordDict) -> None:
        if key:
            del c[record][key]
        else:
            del c[record]

    return change


def with_losses(losses: object) -> Change:
    def change(c: RecordDict) -> None:
        c["metrics"] = MetricRecord({"loss": losses})  # type: ignore[dict-item]

    return change


def two_arrays(c: RecordDict) -> None:
    c["updates"] = ArrayRecord([ROWS, ROWS])


def swapped_records(c: RecordDict) -> None:
    c["updates"] = MetricRecord({"loss": [1.0]})


HOSTILE: dict[str, tuple[Change, str]] = {
    "broadcast": (with_rows(np.ones(1)), "shape (1,), expected (2, 3)"),
    "one row for two": (with_rows(ROWS[:1]), "shape (1, 3), expected (2, 3)"),
    "too short": (with_rows(ROWS[:, :2]), "shape (2, 2)"),
    "0-d": (with_rows(np.array(1.0)), "shape ()"),
    "3-d": (with_rows(ROWS[None]), "shape (1, 2, 3)"),
    "integers": (with_rows(ROWS.astype(np.int64)), "int64, not floating point"),
    "complex": (with_rows(ROWS.astype(complex)), "complex128, not floating point"),
    "other ticket": (with_config(ticket="round 3"), "answers another round"),
    "no text for a ticket": (with_config(ticket=4), "answers another round"),
    "other blocks": (with_config(blocks="0" * 64), "has another model"),
    "foreign client": (with_config(client_ids=[0, 1]), "not asked to train"),
    "client twice": (with_config(client_ids=[0, 0]), "not asked to train"),
    "done and failed": (with_config(failed_ids=[0], failed_why=["x"]), "not asked to train"),
    "foreign failure": (
        with_config(client_ids=[0], failed_ids=[1], failed_why=["x"]),
        "not asked to train",
    ),
    "done and refused": (with_config(refused_ids=[0], refused_why=["x"]), "not asked to train"),
    "foreign refusal": (
        with_config(client_ids=[0], refused_ids=[1], refused_why=["x"]),
        "not asked to train",
    ),
    "client ids are no list": (with_config(client_ids=0), "malformed reply (TypeError)"),
    "client ids are words": (with_config(client_ids=["zero", "3"]), "malformed reply (ValueError)"),
    "no reasons": (without("config", "failed-why"), "malformed reply (KeyError)"),
    "no failures": (without("config", "failed-ids"), "malformed reply (KeyError)"),
    "failures are no list": (with_config(failed_ids=0), "malformed reply (TypeError)"),
    "failure without reason": (
        with_config(client_ids=[], failed_ids=[0], failed_why=[]),
        "malformed reply (ValueError)",
    ),
    "client fails twice": (
        with_config(client_ids=[3], failed_ids=[0, 0], failed_why=["a", "b"]),
        "names a client twice",
    ),
    "no refusals": (without("config", "refused-ids"), "malformed reply (KeyError)"),
    "no ticket": (without("config", "ticket"), "malformed reply (KeyError)"),
    "no blocks": (without("config", "blocks"), "malformed reply (KeyError)"),
    "no config": (without("config"), "malformed reply (KeyError)"),
    "no metrics": (without("metrics"), "malformed reply (KeyError)"),
    "no updates": (without("updates"), "malformed reply (KeyError)"),
    "two arrays": (two_arrays, "malformed reply (ValueError)"),
    "metrics for updates": (swapped_records, "malformed reply"),
    "one loss": (with_losses([0.5]), "expected (2, 3)"),
    "loss is no list": (with_losses(0.5), "malformed reply (TypeError)"),
    "no bytes": (with_bytes(b""), "malformed reply (EOFError)"),
    "noise bytes": (with_bytes(bytes(range(256))), "malformed reply"),
    "cut short": (with_bytes(npy(ROWS)[:-1]), "malformed reply"),
    "broken zip": (with_bytes(b"PK\x03\x04" + bytes(40)), "malformed reply (BadZipFile)"),
    "pickle": (with_bytes(npy(np.array([{}, {}], dtype=object))), "malformed reply (ValueError)"),
    "header bomb": (
        with_bytes(npy(ROWS).replace(b"(2, 3), }", b"(" + b"9" * 17 + b",),}").ljust(200)),
        "malformed reply",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_bad_reply_costs_its_node_only(case: str) -> None:
    change, problem = HOSTILE[case]
    bad = content([0, 3], ROWS)
    change(bad)
    for replies in ((reply(2, bad), good()), (good(), reply(2, bad))):
        only_node_5(accepted(*replies), problem)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_row_that_is_not_finite_costs_its_client_only(value: float, dtype: type) -> None:
    rows: np.ndarray = ROWS.astype(dtype)
    rows[1, 2] = value
    updates = accepted(reply(2, content([0, 3], rows)), good())
    assert updates.client_ids == (0, 1)
    assert updates.rejected == ("client 3: update or loss is not finite",)
    assert np.isfinite(updates.rows).all()


def test_value_beyond_double_precision_is_not_finite() -> None:
    rows = ROWS.astype(np.longdouble)
    rows[0, 0] = np.longdouble("1e4000")
    updates = accepted(reply(2, content([0, 3], rows)), good())
    assert updates.client_ids == (1, 3)
    assert updates.rejected == ("client 0: update or loss is not finite",)


@pytest.mark.parametrize("loss", [np.nan, np.inf])
def test_loss_that_is_not_finite_costs_its_client_only(loss: float) -> None:
    bad = content([0, 3], ROWS)
    with_losses([loss, 1.0])(bad)
    updates = accepted(reply(2, bad), good())
    assert updates.client_ids == (1, 3)
    assert updates.losses == (0.5, 1.0)


def test_node_that_was_not_asked() -> None:
    updates = accepted(good(), reply(9, content([0, 3], ROWS)), reply(2, content([0, 3], ROWS)))
    assert updates.client_ids == (0, 1, 3)
    assert updates.rejected == ("node 9: was not asked",)


def test_second_answer_does_not_count() -> None:
    updates = accepted(
        reply(2, content([0, 3], ROWS)), reply(2, content([0, 3], 100 * ROWS)), good()
    )
    assert updates.rows.tolist() == [[1, 2, 3], [7, 8, 9], [4, 5, 6]]
    assert updates.rejected == ("node 2: answered twice",)


def test_error_reply_and_silence_name_the_clients() -> None:
    updates = accepted(reply(2, Error(2, "boom\n\x1b[31m" + 500 * "x")))
    assert updates.client_ids == ()
    assert updates.rows.shape == (0, EXPECTED.width)
    assert updates.rejected[0].startswith("node 2: error 2: boom")
    assert all(line.isprintable() and len(line) <= 200 for line in updates.rejected)
    assert updates.rejected[1:] == (
        "node 2: no valid reply for clients [0, 3]",
        "node 5: no valid reply for clients [1]",
    )


def test_client_that_failed_on_its_node_says_why() -> None:
    about = {"failed_ids": [3], "failed_why": ["ValueError: not finite\x1b[2J"]}
    updates = accepted(reply(2, content([0], ROWS[:1], **about)), good())
    assert updates.client_ids == (0, 1)
    assert updates.rejected == ("client 3: ValueError: not finite [2J",)


def test_client_that_a_reply_passes_over_is_missed() -> None:
    updates = accepted(reply(2, content([3], ROWS[:1])), good())
    assert updates.client_ids == (1, 3)
    assert updates.rejected == ("client 0: no update",)


def test_reply_without_any_update_is_heard() -> None:
    about = {"failed_ids": [0, 3], "failed_why": ["a", "b"]}
    updates = accepted(reply(2, content([], np.empty((0, 3)), **about)), good())
    assert updates.client_ids == (1,)
    assert updates.rejected == ("client 0: a", "client 3: b")


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_no_bytes_end_a_round(data: bytes, behind_header: bool) -> None:
    bad = content([0, 3], ROWS)
    with_bytes((npy(ROWS)[:64] if behind_header else b"") + data)(bad)
    updates = accepted(reply(2, bad), good())
    assert updates.client_ids == (1,)
    assert len(updates.rejected) == 1


def test_node_that_answers_badly_hosts_nobody() -> None:
    def hosting(ids: object) -> RecordDict:
        return RecordDict({"config": ConfigRecord({"client-ids": ids})})  # type: ignore[dict-item]

    answers = {
        2: hosting([0, 3]),
        3: hosting(4),
        4: hosting(["one"]),
        5: RecordDict(),
        6: Error(2, "boom"),
        7: hosting([]),
        8: hosting([1]),
    }
    hosts = read_hosts([reply(node, what) for node, what in answers.items()])
    assert {node: ids for node, ids in hosts.items() if ids} == {2: [0, 3], 8: [1]}
