"""Audits of finished runs: what was released is recomputed, attacked, and written down."""
