"""``fedaffect certs``: by what a server is known to its nodes, and nodes to their server."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedaffect.cli.plain import PlainCommand

if TYPE_CHECKING:
    from cryptography import x509

    from fedaffect.deployment.node_keys import NodeKey

app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="""Certificates of a server, keys of its nodes.

\b
  fedaffect certs ca certs                       once, on the coordinator's machine
  fedaffect certs server certs fl.hospital.org   the server's certificate, for a year
  fedaffect certs node certs clinic-a            a node's key; or, where the node made it:
  fedaffect certs node certs clinic-a --public-key clinic-a.pub
  fedaffect certs list certs                     who may join, and until when
  fedaffect certs revoke certs clinic-a          shut a node out

A node needs ca.crt and its own key; ca.key never leaves this machine.
""",
)

Folder = Annotated[Path, typer.Argument()]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def _days(default: int) -> Any:
    return typer.Option(default, min=1, max=3650, help="Days until it ends.")


@app.command(cls=PlainCommand)
def ca(
    folder: Folder,
    name: Annotated[str, typer.Option(help="What people call it.")] = "fedaffect",
    days: int = _days(1825),
) -> None:
    """Make a certificate authority in FOLDER."""
    from fedaffect.deployment.authority import CA_CERTIFICATE, CA_KEY, Authority, fingerprint

    made = Authority.create(folder, name, days)
    typer.echo(f"wrote {folder / CA_KEY} (secret: keep it here) and {folder / CA_CERTIFICATE}")
    typer.echo(f"SHA-256 {fingerprint(made.certificate)}")
    typer.echo(f"give {CA_CERTIFICATE} to every node; they compare this number with you by phone")
    typer.echo(f"next: fedaffect certs server {folder} HOST")


@app.command(cls=PlainCommand)
def server(
    folder: Folder, hosts: Annotated[list[str], typer.Argument()], days: int = _days(365)
) -> None:
    """Issue the server's key and certificate, for the HOSTS by which nodes reach it.

    HOSTS are addresses and names without a port; those that were there before are replaced.
    """
    from fedaffect.deployment.authority import SERVER_CERTIFICATE, SERVER_KEY, Authority, hosts_of

    certificate = Authority.open(folder).issue_server(tuple(hosts), days)
    typer.echo(f"wrote {folder / SERVER_KEY} (secret) and {folder / SERVER_CERTIFICATE}")
    typer.echo(f"for {', '.join(hosts_of(certificate))}, until {_day(certificate)}")


@app.command(cls=PlainCommand)
def node(
    folder: Folder,
    name: Annotated[str, typer.Argument()],
    public_key: Annotated[
        Path | None, typer.Option(help="List this key, which the node has made itself.")
    ] = None,
    days: int = _days(365),
) -> None:
    """Let a node in: make its key, or list the one that it has made.

    NAME is what people call it. Its private key goes to its machine and nowhere else.
    """
    from fedaffect.deployment.authority import CA_CERTIFICATE, read_certificate
    from fedaffect.deployment.node_keys import NodeKeys

    read_certificate(folder / CA_CERTIFICATE)  # a folder without one is a mistake
    keys = NodeKeys(folder)
    if public_key is not None:
        listed = keys.register(name, public_key, days)
    else:
        listed, path = keys.create(name, days)
        typer.echo(f"wrote {path} (secret: move it to the node's machine) and {path.stem}.pub")
    typer.echo(f"{name} may join until {listed.expires[:10]}: {listed.fingerprint}")


@app.command(cls=PlainCommand)
def revoke(folder: Folder, name: Annotated[str, typer.Argument()]) -> None:
    """Shut a node out for good. NAME is as fedaffect certs list prints it."""
    from fedaffect.deployment.node_keys import NodeKeys

    ended = NodeKeys(folder).revoke(name)
    assert ended.revoked is not None  # just now, or before
    typer.echo(f"{name} may not join any more, since {ended.revoked[:19]} UTC")


@app.command("list", cls=PlainCommand)
def list_certificates(folder: Folder, as_json: Json = False) -> None:
    """Show certificates and nodes: who may join, and until when."""
    from fedaffect.deployment.authority import (
        CA_CERTIFICATE,
        SERVER_CERTIFICATE,
        fingerprint,
        hosts_of,
        read_certificate,
    )
    from fedaffect.deployment.node_keys import NodeKeys

    authority = read_certificate(folder / CA_CERTIFICATE)
    issued = folder / SERVER_CERTIFICATE
    of_server = read_certificate(issued) if issued.exists() else None
    nodes = NodeKeys(folder).nodes
    if as_json:
        document = {
            "schema_version": 1,
            "authority": _of_certificate(authority),
            "server": None
            if of_server is None
            else _of_certificate(of_server) | {"hosts": hosts_of(of_server)},
            "nodes": [_of_node(node) for node in nodes],
        }
        typer.echo(json.dumps(document, indent=2))
        return
    typer.echo(f"authority   until {_day(authority)}{_state(authority.not_valid_after_utc)}")
    typer.echo(f"            SHA-256 {fingerprint(authority)}")
    if of_server is None:
        typer.echo(f"server      none: fedaffect certs server {folder} HOST")
    else:
        state = _state(of_server.not_valid_after_utc)
        typer.echo(f"server      until {_day(of_server)}{state}: {', '.join(hosts_of(of_server))}")
    for listed in nodes:
        shut = f"  SHUT OUT {listed.revoked[:10]}" if listed.revoked else _state(listed.ends)
        typer.echo(f"node        until {listed.expires[:10]}{shut}: {listed.name}")
        typer.echo(f"            {listed.fingerprint}")


def _day(certificate: x509.Certificate) -> str:
    return f"{certificate.not_valid_after_utc:%Y-%m-%d}"


def _state(ends: datetime) -> str:
    from fedaffect.deployment.authority import WARN

    now = datetime.now(UTC)
    if ends <= now:
        return "  ENDED"
    return "" if ends - now > WARN else f"  ENDS IN {(ends - now).days} DAYS"


def _of_certificate(certificate: x509.Certificate) -> dict[str, Any]:
    from fedaffect.deployment.authority import fingerprint

    return {
        "sha256": fingerprint(certificate),
        "expires": certificate.not_valid_after_utc.isoformat(timespec="seconds"),
    }


def _of_node(node: NodeKey) -> dict[str, Any]:
    return {
        "name": node.name,
        "fingerprint": node.fingerprint,
        "expires": node.expires,
        "revoked": node.revoked,
        "may_join": node.may_join(datetime.now(UTC)),
    }
