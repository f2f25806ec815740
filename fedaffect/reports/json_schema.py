"""The published JSON Schemas of what a run and an audit leave: ``docs/schema``.

``python -m fedaffect.reports.json_schema docs/schema`` writes them anew.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from fedaffect.atomic_file import write_text_atomic
from fedaffect.audit_record import AuditRecord
from fedaffect.record import RunRecord

DIALECT = "https://json-schema.org/draft/2020-12/schema"
PUBLISHED: dict[str, type[BaseModel]] = {
    "report.schema.json": RunRecord,
    "audit.schema.json": AuditRecord,
}


def schema_of(record: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of files that hold a ``record``."""
    return {"$schema": DIALECT, **record.model_json_schema(mode="validation")}


def write_schemas(folder: Path) -> None:
    """Write every published schema into ``folder``."""
    for name, record in PUBLISHED.items():
        text = json.dumps(schema_of(record), indent=1, sort_keys=True, ensure_ascii=False)
        write_text_atomic(folder / name, text + "\n")


if __name__ == "__main__":
    write_schemas(Path(sys.argv[1]))
