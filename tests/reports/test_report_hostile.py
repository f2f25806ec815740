from __future__ import annotations

import re

from audit_sample import sample_audit
from hypothesis import given, settings
from hypothesis import strategies as st
from report_reader import Reader, without_figures
from report_sample import NO_DP, sample

from fedaffect.audit_record import AuditRecord
from fedaffect.reports.html_page import render_html
from fedaffect.reports.model_card import escape, model_card

EVIL = "<script>alert('x')</script><img src=x onerror=alert(1)>\"'&"


def poisoned(value, key=""):
    if isinstance(value, dict):
        return {k: poisoned(v, k) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [poisoned(v, key) for v in value]
    keep = key in ("kind", "status", "policy")
    return EVIL + value if isinstance(value, str) and not keep else value


def poisoned_audit(value, key=""):
    """As ``poisoned``, but for words that a schema fixes, metrics and rates."""
    fixed = ("kind", "status", "family", "threat", "role", "metric", "id", "name")
    if isinstance(value, dict):
        return {k: v if k == "tpr_at_fpr" else poisoned_audit(v, k) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [poisoned_audit(v, key) for v in value]
    return EVIL + value if isinstance(value, str) and key not in fixed else value


def test_markup_in_any_text_of_record_and_audit_is_inert():
    record = sample()
    values = poisoned(record.model_dump(mode="json"))
    values["figures"]["identity_attacks"] = {
        EVIL + k: v for k, v in values["figures"]["identity_attacks"].items()
    }
    poison = poisoned_audit(sample_audit().model_dump(mode="json"))
    audit = AuditRecord.model_validate(poison | {"headline": "identity"})
    text = render_html(type(record).model_validate(values), audit)
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


texts = st.text(alphabet=st.sampled_from("<>&\"'`{}%#()[]|*_ \n\t\\-!ax=/;:$~é\u202e"), max_size=40)


@settings(max_examples=12, deadline=None)
@given(text=texts)
def test_no_text_changes_the_structure_of_page_or_card(text):
    def told(word):
        record, audit = sample(), sample_audit()
        first = audit.results[0].model_copy(
            update={"title": word, "reason": word, "notes": (word,)}
        )
        data = record.data.model_copy(update={"name": word, "citation": word, "notes": (word,)})
        return (
            record.model_copy(update={"data": data, "warnings": (word,)}),
            audit.model_copy(update={"results": (first,), "notes": (word,)}),
        )

    plain, strange = (Reader(without_figures(*told(word))) for word in ("word", "w" + text))
    shape = [(e["tag"], sorted(e["attrs"])) for e in plain.elements]
    assert [(e["tag"], sorted(e["attrs"])) for e in strange.elements] == shape
    cards = [model_card(*told(word)).splitlines() for word in ("word", "w" + text)]
    assert [line[:2] for line in cards[0]] == [line[:2] for line in cards[1]]
    assert "<" not in re.sub(r"\\.", "", escape(text))
