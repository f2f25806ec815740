"""A private head on a public representation, beside everything that it should be compared with."""

from fedaffect.reproduce.private_head.study import PrivateHead

__all__ = ["PrivateHead"]
