"""What a person filled in, kept beside what is wrong with it; no input, output or clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from gstable_server.kernel.errors import Code, Refused
from gstable_server.web.dashboard.problems import problem_words
from gstable_server.web.dashboard.words import in_words, sentence

KEPT_LENGTH_MAX = 2000


@dataclass(frozen=True, slots=True)
class Form:
    """The fields ``names`` of one form. ``values`` never holds a password: none is sent back."""

    names: tuple[str, ...]
    values: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""

    def filled(self, entries: Mapping[str, str]) -> Form:
        """The entries as they came, cut to what a page may carry back."""
        kept = {
            name: entries.get(name, "")[:KEPT_LENGTH_MAX]
            for name in self.names
            if not name.startswith("password")
        }
        return replace(self, values=kept)

    def value(self, name: str) -> str:
        return self.values.get(name, "")

    def error(self, name: str) -> str:
        return self.errors.get(name, "")

    def marked(self, name: str, text: str) -> Form:
        """The same entries with ``text`` beside the field ``name``."""
        return replace(self, errors={**self.errors, name: text})

    def refused(self, refused: Refused) -> Form:
        """The same entries with the refusal beside the field that it names, else above all."""
        name, _, what = refused.detail.partition(" ")
        if refused.code is Code.FIELD_INVALID and name in self.names:
            return self.marked(name, sentence(problem_words(what)))
        return replace(self, problem=in_words(refused))
