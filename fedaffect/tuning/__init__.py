"""Choosing rounds, clip, local training and released numbers on public people."""
