"""Two people with the same form open: who saves second is shown what the first one changed.

A page writes into its form what it was filled from, as one short text (``version_of``). Whoever
saves compares it with the row that it has just locked (``require_version``), inside of the
transaction that would change it: what differs is refused, and nothing is stored. The page that
comes back (status 409) shows both values of every field and offers to save the typed ones all the
same, with the version as it is now.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from starlette.responses import Response

from gstable_server.kernel.errors import Trouble
from gstable_server.web.dashboard.guard import FORM_TOKEN, Guard, Visit

VERSION = "version"
"""The form's field."""
_DIGITS = 12
"""Enough to tell a merchant's own values apart: nobody gains by making two of them alike."""


@dataclass(frozen=True, slots=True)
class Change:
    """A field whose value is not the one that the form was opened with: what is stored now, and
    what was typed."""

    name: str
    saved: str
    typed: str


class ChangedMeanwhile(Trouble):
    """Somebody else saved the same thing since the form was opened. ``version`` is that of now."""

    def __init__(self, version: str, changes: tuple[Change, ...]) -> None:
        self.version = version
        self.changes = changes
        super().__init__("changed by somebody else meanwhile")


def version_of(values: Mapping[str, str]) -> str:
    """A text for the form that was filled from ``values``: a few digits of each one's hash."""
    return ".".join(_digits(values[name]) for name in sorted(values))


def require_version(given: str, saved: Mapping[str, str], typed: Mapping[str, str]) -> None:
    """``saved``: the same fields as they are stored now, in a row that is locked. Raises
    ``ChangedMeanwhile`` if they are not those that ``given`` was made of, unless they are what
    was typed anyway."""
    if given == version_of(saved):
        return
    names = sorted(saved)
    known = given.split(".")
    if len(known) != len(names):
        known = [""] * len(names)
    changes = tuple(
        Change(name, saved[name], typed.get(name, ""))
        for name, digits in zip(names, known, strict=True)
        if digits != _digits(saved[name]) and saved[name] != typed.get(name, "")
    )
    if changes:
        raise ChangedMeanwhile(version_of(saved), changes)


def _digits(value: str) -> str:
    return sha256(value.encode()).hexdigest()[:_DIGITS]


def conflict(
    guard: Guard,
    visit: Visit,
    section: str,
    changed: ChangedMeanwhile,
    labels: Mapping[str, str],
    back: str,
) -> Response:
    """The page with both values of each field (409). ``labels`` are the fields' words; ``back``
    is the path below the mode's pages where the stored ones stand. Everything that was typed goes
    on with the page's form, so that nothing is lost by looking."""
    kept = [
        (name, text)
        for name, text in visit.entries.items()
        if name not in {FORM_TOKEN, VERSION} and not name.startswith("password")
    ]
    rows = [(labels.get(one.name, one.name), one.saved, one.typed) for one in changed.changes]
    return guard.show(
        visit,
        "conflict.html",
        section,
        status=409,
        rows=rows,
        kept=kept,
        version=changed.version,
        path=visit.request.url.path,
        back=f"{visit.base}{back}",
    )
