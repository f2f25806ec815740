"""Benouis, Can & André 2023: stress and identity from physiological signals, federated, with DP."""

from fedaffect.reproduce.benouis2023.study import Benouis2023

__all__ = ["Benouis2023"]
