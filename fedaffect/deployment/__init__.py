"""Federated learning between machines that trust neither the network nor, fully, the server."""
