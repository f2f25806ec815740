"""Who is who: ids are safe to print and to put in a path, and one person has one id.

The same data under two ids would count one person as two, which breaks user-level privacy.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from fedaffect.data.schema import Recording
from fedaffect.errors import DataError

_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}", re.ASCII)


def check_id(text: str, what: str) -> str:
    """Return ``text`` if it may be the id of a person or a session.

    Raises:
        DataError: E351 it may not.
    """
    if _ID.fullmatch(text):
        return text
    raise DataError(
        "E351",
        f"{what} {text[:80]!a} is not a usable id",
        do="rename it: 1 to 64 letters, digits, '_', '-' or '.', not starting with '.'",
    )


def duplicates(recordings: Iterable[Recording]) -> list[tuple[str, tuple[str, ...]]]:
    """Return (channel, names of the recordings) for every signal that occurs more than once.

    Names are ``subject/session``. Constant signals carry no person and are not compared.
    """
    seen: dict[tuple[str, str], list[str]] = defaultdict(list)
    for recording in recordings:
        for channel, signal in recording.signals.items():
            values = np.ascontiguousarray(signal.values)
            if len(values) and (values != values[0]).any():
                digest = hashlib.sha256(values.tobytes()).hexdigest()
                seen[channel, digest].append(f"{recording.subject}/{recording.session}")
    return [(channel, tuple(who)) for (channel, _), who in seen.items() if len(who) > 1]


def refuse_duplicates(recordings: Iterable[Recording]) -> None:
    """Refuse a data set in which a signal occurs twice.

    Raises:
        DataError: E350 with the recordings that share it.
    """
    if not (found := duplicates(recordings)):
        return
    groups = sorted({who for _, who in found})
    raise DataError(
        "E350",
        "the same data under several names: " + "; ".join(" = ".join(who) for who in groups),
        do="keep one copy: a person counted twice is not protected as one person",
    )
