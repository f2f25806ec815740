from __future__ import annotations

import re

from report_reader import Reader
from report_sample import NO_DP, sample

from fedaffect.reports.html_page import render_html

EVIL = "<script>alert('x')</script><img src=x onerror=alert(1)>\"'&"


def poisoned(value, key=""):
    if isinstance(value, dict):
        return {k: poisoned(v, k) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [poisoned(v, key) for v in value]
    keep = key in ("kind", "status", "policy")
    return EVIL + value if isinstance(value, str) and not keep else value


def test_markup_in_any_text_of_the_record_is_inert():
    record = sample()
    values = poisoned(record.model_dump(mode="json"))
    values["figures"]["identity_attacks"] = {
        EVIL + k: v for k, v in values["figures"]["identity_attacks"].items()
    }
    text = render_html(type(record).model_validate(values))
    reader = Reader(text)
    assert reader.all("script", "img") == []
    assert not any(n.startswith("on") for e in reader.elements for n in e["attrs"])
    assert "&lt;script&gt;alert(" in text


def test_a_poor_record_still_gives_a_page():
    record = sample(privacy=NO_DP, partition="iid")
    nothing = record.figures.stress_accuracy.model_copy(
        update={"value": None, "low": None, "high": None, "chance": None, "note": ""}
    )
    poor = record.figures.model_copy(
        update={
            **{k: nothing for k in type(record.figures).model_fields if "_" in k},
            "identity_attacks": {},
            "strongest_attack": "",
            "per_person": (),
        }
    )
    text = render_html(
        record.model_copy(update={"figures": poor, "rounds": (), "privacy": {}, "no_dp": None})
    )
    reader = Reader(text)
    assert len(reader.all("figure")) == 3
    assert "assume that nothing is guaranteed" in text
    shown = re.split(r"\W+", re.sub(r"<(style|svg).*?</\1>|<[^>]*>", " ", text, flags=re.S))
    assert not {"nan", "None", "null"} & set(shown)
