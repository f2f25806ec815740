"""The ServerApp."""

from fedaffect.server.app import server_app as app

__all__ = ["app"]
