"""E4: the label file, and its intervals painted onto samples."""

from itertools import pairwise
from pathlib import Path

import pytest
from e4_folders import START
from hypothesis import given, settings
from hypothesis import strategies as st

from fedaffect.data.labels import Label, paint, read_labels
from fedaffect.data.schema import UNLABELLED
from fedaffect.errors import DataError


def labels_of(tmp_path: Path, content: str) -> tuple[Label, ...]:
    path = tmp_path / "labels.csv"
    path.write_text(content)
    return read_labels(path, tmp_path, float(START), 600.0)[0]


def test_labels_words_numbers_and_unix_times(tmp_path: Path) -> None:
    content = (
        "Start_s, End_s, Label\r\n"
        "10,20.5,Rest\r\n\r\n"
        f"{START + 30},{START + 40},1\r\n"
        "50,60,0\n70,80,Stress\n"
    )
    assert labels_of(tmp_path, content) == (
        Label(10, 20.5, "rest"),
        Label(30, 40, "stress"),
        Label(50, 60, "no stress"),
        Label(70, 80, "stress"),
    )


@pytest.mark.parametrize(
    ("code", "words", "content"),
    [
        ("E349", "line 1 is 'time,what'", "time,what\n"),
        ("E349", "line 1 is ''", ""),
        ("E349", "line 3", "start_s,end_s,label\n0,10,rest\n20,rest\n"),
        ("E349", "line 2", "start_s,end_s,label\n0,ten,rest\n"),
        ("E349", "start_s < end_s", "start_s,end_s,label\n10,10,rest\n"),
        ("E349", "start_s < end_s", "start_s,end_s,label\n0,inf,rest\n"),
        ("E349", "plain name", "start_s,end_s,label\n0,9,<script>\n"),
        ("E349", "plain name", "start_s,end_s,label\n0,9,rest,stress\n"),
        ("E349", "overlaps", "start_s,end_s,label\n0,9,rest\n8,20,stress\n"),
        ("E352", "none of 1 labels", "start_s,end_s,label\n600,700,rest\n"),
        ("E352", "none of 0 labels", "start_s,end_s,label\n"),
    ],
)
def test_label_file_that_cannot_be_meant(
    tmp_path: Path, code: str, words: str, content: str
) -> None:
    with pytest.raises(DataError) as caught:
        labels_of(tmp_path, content)
    assert caught.value.code == code
    assert words in caught.value.message


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-5, 40).map(lambda x: round(x, 2)), min_size=2, max_size=8, unique=True))
def test_painted_sample_has_a_label_only_if_it_lies_inside_it(times: list[float]) -> None:
    times = sorted(times)
    labels = [Label(a, b, f"c{i % 3}") for i, (a, b) in enumerate(pairwise(times))]
    codes = {"c0": 0, "c1": 1, "c2": 2}
    painted = paint(labels, codes, 30.1)
    assert (painted.rate_hz, painted.start_s, len(painted.values)) == (4.0, 0.0, 120)
    for i, code in enumerate(painted.values.tolist()):
        a, b = i / 4, (i + 1) / 4
        inside = [codes[x.name] for x in labels if x.start_s <= a + 1e-6 and b <= x.end_s + 1e-6]
        assert code == (inside[0] if inside else UNLABELLED)
