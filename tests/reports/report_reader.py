"""Sample pages, and a strict reader of their elements."""

from __future__ import annotations

from functools import cache
from html.parser import HTMLParser

from audit_sample import sample_audit
from report_sample import NO_DP, PARTIAL, sample

from fedaffect.audit_record import AuditRecord
from fedaffect.record import RunRecord
from fedaffect.reports.html_page import render_html, render_page
from fedaffect.reports.strongest import with_strongest
from fedaffect.reports.svg import Drawing

FIGURES = ("tradeoff", "spending", "card", "breakeven", "partition", "people", "curves")
FIGURES += ("attacks", "layers", "roc", "bounds", "released")

CASES = {
    "formal": {},
    "partial": {"privacy": PARTIAL, "partition": "dirichlet", "synthetic": False},
    "random": {"privacy": NO_DP, "spec": "random", "synthetic": False, "folds": 5},
    "blocks": {"privacy": NO_DP, "spec": "blocks"},
    "audited": {},
}
FIGURED = ("formal", "partial", "audited")
BANNED = (
    "anonymous",
    "fully private",
    "guarantees anonymity",
    "gdpr-compliant",
    "hipaa-safe",
    "cannot be re-identified",
)
BLOCKS = {"p", "h2", "h3", "dt", "dd", "th", "td", "li", "caption", "figcaption", "small"}
VOID = {"meta", "br", "hr", "img", "input", "link"}


@cache
def page(case: str) -> str:
    record, audit = sample(**CASES[case]), sample_audit() if case == "audited" else None
    return render_html(record, audit) if case in FIGURED else without_figures(record)


def without_figures(
    record: RunRecord, audit: AuditRecord | None = None, **drawn: Drawing | None
) -> str:
    """The page as it is, but for its figures, which take the longest; ``drawn`` are in it."""
    figures = dict.fromkeys(FIGURES) | drawn
    return render_page(with_strongest(record, audit), audit, figures)


class Reader(HTMLParser):
    """Elements in order with their attributes, text and ancestors; refuses unbalanced tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[dict] = []
        self.open: list[dict] = []
        self.feed(text)
        self.close()
        assert not self.open, self.open[-1]["tag"]

    def handle_starttag(self, tag, attrs):
        element = {"tag": tag, "attrs": dict(attrs), "text": "", "within": list(self.open)}
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop()["tag"] == tag
        if tag in BLOCKS:
            self.handle_data(" ")

    def handle_data(self, data):
        for element in self.open:
            element["text"] += data

    def all(self, *tags):
        return [e for e in self.elements if e["tag"] in tags]


@cache
def read(case: str) -> Reader:
    return Reader(page(case))


def words(text: str) -> str:
    return " ".join(text.replace("\u00a0", " ").split())


def section(case: str, anchor: str) -> str:
    found = [e for e in read(case).all("section") if e["attrs"]["id"] == anchor]
    return words(found[0]["text"])
