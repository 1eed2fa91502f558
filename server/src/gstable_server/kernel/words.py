"""Sentences that people read: marked where they stand, translated where they are shown."""

from __future__ import annotations


def N_(message: str) -> str:  # noqa: N802 - gettext's own name, which extraction knows
    """Mark ``message`` for extraction; it is translated where it is shown."""
    return message
