"""The report in a real browser: light, dark, narrow and in print, under a strict policy."""

from __future__ import annotations

import http.server
import re
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from audit_sample import sample_audit
from chromium import printed, screenshot
from matplotlib.image import imread
from report_sample import sample

from fedaffect.reports.html_page import render_html

pytestmark = pytest.mark.browser
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
LIGHT_PAGE, DARK_PAGE = (246, 247, 249), (15, 18, 22)  # --page in report.css
DARK_INK = (230, 233, 237)  # --ink in the dark


@cache
def page() -> str:
    return render_html(sample(), sample_audit())


@dataclass
class Site:
    """A web server on this machine; its answers carry the strictest policy that we promise."""

    pages: dict[str, bytes]
    asked: list[str] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def site() -> Iterator[Site]:
    there = Site({"/report.html": page().encode()})

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            there.asked.append(self.path)
            page = there.pages.get(self.path)
            self.send_response(200 if page else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Security-Policy", POLICY)
            self.end_headers()
            self.wfile.write(page or b"")

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    there.url = f"http://127.0.0.1:{server.server_port}/report.html"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield there
    server.shutdown()
    server.server_close()


@pytest.fixture
def file_url(tmp_path: Path) -> str:
    path = tmp_path / "report.html"
    path.write_text(page(), encoding="utf-8")
    return path.as_uri()


def pixels(file: Path) -> np.ndarray:
    """Return a picture as (height, width, 3) uint8."""
    rgb: np.ndarray = (imread(file)[:, :, :3] * 255).round().astype(np.uint8)
    return rgb


def share_of(picture: np.ndarray, colour: tuple[int, int, int]) -> float:
    return float((np.abs(picture.astype(int) - colour).max(axis=2) <= 2).mean())


def test_light_and_dark_show_the_page_in_their_own_colours(file_url: str, tmp_path: Path) -> None:
    light = screenshot(file_url, tmp_path / "light")
    dark = screenshot(file_url, tmp_path / "dark", dark=True)
    assert (light.console, dark.console) == ((), ())
    a, b = pixels(light.file), pixels(dark.file)
    assert a.shape == b.shape == (1600, 1100, 3)
    assert share_of(a, LIGHT_PAGE) > 0.1
    assert share_of(a, DARK_PAGE) == 0
    assert share_of(b, DARK_PAGE) > 0.1
    assert share_of(b, LIGHT_PAGE) < 0.001  # text may be as light as that
    for picture in (a, b):
        packed = picture.astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
        assert len(np.unique(packed)) > 100  # text, marks, banner


def test_a_narrow_screen_needs_no_scrolling_across(file_url: str, tmp_path: Path) -> None:
    shown = screenshot(file_url, tmp_path / "narrow", width=500)
    picture = pixels(shown.file)
    assert shown.console == ()
    assert share_of(picture[:, -16:], LIGHT_PAGE) > 0.9  # the margin on the right is free


def test_nothing_but_the_page_is_asked_for(site: Site, tmp_path: Path) -> None:
    shown = screenshot(site.url, tmp_path / "served")
    assert shown.console == ()
    assert set(site.asked) <= {"/report.html", "/favicon.ico"}  # browsers ask for that themselves
    assert share_of(pixels(shown.file), LIGHT_PAGE) > 0.1  # styles work under the policy


def test_a_page_that_loads_and_runs_would_be_told(site: Site, tmp_path: Path) -> None:
    bad = b'<img src="/x.png"><script>document.title = 1</script>'
    site.pages["/report.html"] = site.pages["/report.html"].replace(b"</body>", bad + b"</body>")
    console = " ".join(screenshot(site.url, tmp_path / "bad").console)
    assert "img-src data:" in console
    assert "script" in console
    assert "/x.png" not in site.asked


@pytest.mark.parametrize("dark", [False, True])
def test_print_is_dark_text_on_paper_whatever_the_screen(
    file_url: str, tmp_path: Path, dark: bool
) -> None:
    shown = printed(file_url, tmp_path / "print", dark=dark)
    assert shown.console == ()
    content = shown.file.read_bytes()
    assert content.startswith(b"%PDF-")
    assert 8 <= len(re.findall(rb"/Type\s*/Page\b", content)) <= 30
    streams = [
        zlib.decompressobj().decompress(part)
        for part in re.findall(rb"stream\r?\n(.*?)endstream", content, re.S)
        if part[:1] == b"x"
    ]
    drawn = b"".join(s for s in streams if b"BT" in s)
    assert drawn.count(b"BT") > 300  # text is text, in figures too
    colours = {tuple(map(float, c)) for c in re.findall(rb"([\d.]+) ([\d.]+) ([\d.]+) rg", drawn)}
    assert (0.0, 0.0, 0.0) in colours
    assert not any(near(c, DARK_INK) or near(c, DARK_PAGE) for c in colours)


def near(colour: tuple[float, ...], rgb: tuple[int, int, int]) -> bool:
    return all(abs(255 * a - b) <= 1 for a, b in zip(colour, rgb, strict=True))
