"""The ClientApp."""

from fedaffect.clients.app import client_app as app

__all__ = ["app"]
