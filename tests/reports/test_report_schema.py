"""The published schemas are those of the records, and real records keep to them."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from audit_sample import sample_audit
from report_sample import NO_DP, sample

from fedaffect.reports.json_schema import PUBLISHED, schema_of, write_schemas

FOLDER = Path(__file__).parents[2] / "docs" / "schema"
MAKE = "they are out of date: make schema"


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_schema_is_that_of_the_record(name):
    assert json.loads((FOLDER / name).read_text()) == schema_of(PUBLISHED[name]), MAKE


def test_nothing_else_is_published_and_files_are_as_they_are_written(tmp_path):
    write_schemas(tmp_path)
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert written == {path.name: path.read_bytes() for path in FOLDER.iterdir()}, MAKE


@pytest.mark.parametrize(
    ("name", "record"),
    [
        ("report.schema.json", sample()),
        ("report.schema.json", sample(privacy=NO_DP, folds=2, spec="random")),
        ("audit.schema.json", sample_audit()),
    ],
)
def test_another_validator_accepts_records_and_refuses_spoilt_ones(name, record):
    schema = json.loads((FOLDER / name).read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    values = record.model_dump(mode="json")
    assert list(validator.iter_errors(values)) == []
    assert list(validator.iter_errors(values | {"more": 1}))
    key = "rounds" if "rounds" in values else "results"
    assert list(validator.iter_errors({k: v for k, v in values.items() if k != key}))
