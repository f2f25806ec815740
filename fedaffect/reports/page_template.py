"""Pages from templates: one file each, our CSS inside, every value escaped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fedaffect.reports.formats import plural


def render(template: str, filters: Mapping[str, Callable[..., Any]], **context: Any) -> str:
    """Return the page ``template`` as text: self-contained, and equal for equal contexts.

    Args:
        template: Name of a file in ``templates``.
        filters: Filters that it uses besides ``plural`` and ``trusted``.
        **context: Its values; markup in them is inert.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    loader = PackageLoader("fedaffect.reports")
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["trusted"] = Markup  # only for our own CSS and SVG
    environment.filters["plural"] = plural
    environment.filters.update(filters)
    css = loader.get_source(environment, "report.css")[0]
    return environment.get_template(template).render(css=css, **context)
