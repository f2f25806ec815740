"""What a report leaves in a run folder: page, model card, and a CSV for every figure."""

from __future__ import annotations

from pathlib import Path

from fedaffect.atomic_file import write_text_atomic
from fedaffect.audit_record import AuditRecord
from fedaffect.errors import StorageError
from fedaffect.record import RunRecord
from fedaffect.reports.csv_file import to_csv
from fedaffect.reports.figures import all_figures
from fedaffect.reports.html_page import render_page
from fedaffect.reports.json_file import PAGE_NAME
from fedaffect.reports.model_card import CARD_NAME, model_card
from fedaffect.reports.strongest import with_strongest
from fedaffect.run_folder import renew_in_manifest

FIGURES_FOLDER = "figures"


def write_bundle(folder: Path, record: RunRecord, audit: AuditRecord | None = None) -> None:
    """Write the report of ``record`` into ``folder``, the page last; the manifest follows.

    Tables of figures that this report has not are removed: they would contradict it.

    Args:
        folder: Folder of the run.
        record: The run.
        audit: Its audit; ``None`` without one.

    Raises:
        StorageError: E803 a file cannot be written; E804 the manifest cannot be read.
    """
    place = _made(folder / FIGURES_FOLDER)
    shown = with_strongest(record, audit)
    drawings = all_figures(shown, audit)
    tables = {f"{drawing.name}.csv": to_csv(drawing) for drawing in drawings.values() if drawing}
    stale = [path.name for path in sorted(place.glob("*.csv")) if path.name not in tables]
    for name in stale:
        (place / name).unlink(missing_ok=True)
    for name, text in tables.items():
        write_text_atomic(place / name, text)
    write_text_atomic(folder / CARD_NAME, model_card(shown, audit))
    write_text_atomic(folder / PAGE_NAME, render_page(shown, audit, drawings))
    inside = (f"{FIGURES_FOLDER}/{name}" for name in (*tables, *stale))
    renew_in_manifest(folder, *inside, CARD_NAME, PAGE_NAME)


def _made(folder: Path) -> Path:
    """Make the folder of tables, which may not be a link, and return it."""
    try:
        if folder.is_symlink():
            raise NotADirectoryError(0, "it is a link")
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StorageError(
            "E803", f"cannot write to {folder}: {error.strerror}", do="free the place, or the name"
        ) from error
    return folder
