"""What a letter says apart from the language that it says it in: pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

ENGLISH = "en"


@dataclass(frozen=True, slots=True)
class Words:
    """``subject`` and ``body`` are marked sentences with ``values`` in the places ``%(name)s``;
    those named in ``said`` are sentences themselves. ``language`` is for who chose none."""

    subject: str
    body: str
    values: Mapping[str, str]
    said: Sequence[str]
    language: str

    def written(self, translated: Callable[[str], str]) -> tuple[str, str]:
        """Subject, in one line, and body."""
        values = {
            name: translated(value) if name in self.said else value
            for name, value in self.values.items()
        }
        subject, body = translated(self.subject) % values, translated(self.body) % values
        return " ".join(subject.split()), body
