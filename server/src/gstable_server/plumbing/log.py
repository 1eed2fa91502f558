"""One JSON line per log entry, on standard error; values are encoded: no line can be forged.

Nothing fails because it cannot be logged: a line that a full disk or a closed pipe refuses is
dropped and counted, because a payment matters more than what is written of it.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

from gstable_server.plumbing import metrics

VALUE_CHARACTERS_MAX = 8_192
"""Of one value; what is longer is cut, because one line must not fill a disk."""


class _Lines:
    """Writes whole lines, and counts those that cannot be written."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def msg(self, message: str) -> None:
        """Write one line."""
        try:
            self._stream.write(message + "\n")
            self._stream.flush()
        except (OSError, ValueError):  # the second of a closed stream, or of what is no text
            metrics.log_line_dropped()

    log = debug = info = warning = error = critical = msg


class _LinesFactory:
    def __init__(self, stream: TextIO) -> None:
        self._lines = _Lines(stream)

    def __call__(self, *_: object) -> _Lines:
        return self._lines


def _cut(
    _logger: object, _method: str, entry: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    for name, value in entry.items():
        if isinstance(value, str) and len(value) > VALUE_CHARACTERS_MAX:
            entry[name] = f"{value[:VALUE_CHARACTERS_MAX]}… ({len(value)} characters)"
    return entry


def configure_logging(
    level: str = "info", *, human: bool = False, stream: TextIO | None = None
) -> None:
    """Set up structured logging for this process. ``level`` is a standard level name; ``stream``
    is standard error unless given."""
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=False)
        if human
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _cut,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=_LinesFactory(stream or sys.stderr),
        cache_logger_on_first_use=True,
    )
