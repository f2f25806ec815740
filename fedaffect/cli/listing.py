"""``fedaffect list``: what this installation knows."""

from __future__ import annotations

from typing import Annotated

import typer

HELP = """Names and error codes that this installation knows.

KIND is data, partition, model, strategy, defence, dp, attack, audit, engine, objective, backbone
or codes; nothing lists all but codes. NAME is one code, such as E221, or one backbone.
"""


def list_components(
    kind: Annotated[str, typer.Argument()] = "",
    name: Annotated[str, typer.Argument()] = "",
) -> None:
    """Print the names of one kind, or of all."""
    from fedaffect import registry
    from fedaffect.error_codes import CODES
    from fedaffect.errors import EXIT_CODES, UsageError
    from fedaffect.models.shipped import SHIPPED

    if kind == "codes":
        if name and name not in CODES:
            raise UsageError("E210", f"code {name!r} is not known", "fedaffect list codes")
        for code in [name] if name else sorted(CODES):
            ending = f"exit {code[1]}, {EXIT_CODES[int(code[1])]}" if code[0] == "E" else "warning"
            typer.echo(f"{code}  {CODES[code]} ({ending})")
        return
    if kind == "backbone" and name:
        from fedaffect.models.backbone import load_backbone

        typer.echo(load_backbone(name).card.model_dump_json(indent=2))
        return
    if name:
        raise UsageError("E200", f"{name!r} is one argument too many", "fedaffect list --help")
    tables = {**registry.KINDS, "backbone": SHIPPED}
    if kind and kind not in tables:
        known = registry.did_you_mean(kind, [*tables, "codes"])
        raise UsageError("E210", f"kind {kind!r} is not known", known)
    for each in [kind] if kind else tables:
        typer.echo(f"{each:10} {', '.join(sorted(tables[each]))}")
