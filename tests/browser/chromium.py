"""Headless Chromium: what it shows of a page, what it prints, and what it complains about."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


@dataclass(frozen=True)
class Shown:
    """What came of a page.

    Args:
        file: The picture (PNG) or print (PDF).
        console: Messages of its console, such as violations of the content policy.
    """

    file: Path
    console: tuple[str, ...]


def screenshot(url: str, scratch: Path, *, dark: bool = False, width: int = 1100) -> Shown:
    """Take a picture of the page at ``url``, ``width`` x 1600 pixels."""
    theme = ("--force-dark-mode",) if dark else ()
    return _run(url, scratch, scratch / "page.png", f"--window-size={width},1600", *theme)


def printed(url: str, scratch: Path, *, dark: bool = False) -> Shown:
    """Print the page at ``url``, as someone does whose screen is dark or light."""
    theme = ("--force-dark-mode",) if dark else ()
    return _run(url, scratch, scratch / "page.pdf", "--no-pdf-header-footer", *theme)


def _run(url: str, scratch: Path, file: Path, *flags: str) -> Shown:
    assert CHROMIUM is not None, "no chromium here: apt-get install chromium (CONTRIBUTING.md)"
    scratch.mkdir(parents=True)
    kind = "screenshot" if file.suffix == ".png" else "print-to-pdf"
    said = subprocess.run(
        [
            CHROMIUM,
            *FLAGS,
            f"--user-data-dir={scratch / 'profile'}",
            f"--{kind}={file}",
            *flags,
            url,
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return Shown(file, tuple(re.findall(r":CONSOLE[^\]]*\] (.*)", said.stderr)))
