"""One line a log entry, whatever is in it, and nothing fails because it cannot be written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
import structlog

from gstable_server.plumbing.log import VALUE_CHARACTERS_MAX, configure_logging
from gstable_server.plumbing.metrics import REGISTRY

HOSTILE = [
    'x\n{"level":"info","event":"session.completed"}',
    'x\r\n{"level":"critical"}',
    "\x1b[2K\x1b[1A\x1b]0;title\x07",
    'quote" and \\ and \x00',
    "\u2028line\u2029paragraph\u0085next",
    "\ud800",
]


@pytest.fixture
def lines() -> Iterator[StringIO]:
    stream = StringIO()
    configure_logging("info", stream=stream)
    yield stream
    structlog.reset_defaults()


@pytest.mark.parametrize("text", HOSTILE)
def test_ops_04_what_a_stranger_sent_is_one_line_and_one_value(lines: StringIO, text: str) -> None:
    structlog.get_logger("test").warning("refused", name=text, **{"field " + text: 1})
    written = lines.getvalue()
    assert written.count("\n") == 1
    assert written.isascii()
    assert written.rstrip("\n").isprintable()
    entry = json.loads(written)
    assert (entry["event"], entry["level"], entry["name"]) == ("refused", "warning", text)


def test_ops_04_a_line_of_a_megabyte_is_cut(lines: StringIO) -> None:
    structlog.get_logger("test").info("asked", body="x" * 1_000_000)
    assert len(lines.getvalue()) < VALUE_CHARACTERS_MAX + 300
    assert json.loads(lines.getvalue())["body"].endswith("(1000000 characters)")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
def test_ops_04_a_full_disk_loses_lines_and_nothing_else() -> None:
    before = REGISTRY.get_sample_value("gstable_log_lines_dropped_total")
    assert before is not None
    full = Path("/dev/full").open("w")  # noqa: SIM115  closing it fails as well
    configure_logging("info", stream=full)
    log = structlog.get_logger("test")
    log.info("one")
    log.critical("two")
    structlog.reset_defaults()
    with pytest.raises(OSError, match="No space left"):
        full.close()
    assert REGISTRY.get_sample_value("gstable_log_lines_dropped_total") == before + 2


def test_ops_04_a_closed_stream_loses_lines_and_nothing_else() -> None:
    before = REGISTRY.get_sample_value("gstable_log_lines_dropped_total")
    assert before is not None
    stream = StringIO()
    configure_logging("info", stream=stream)
    stream.close()
    structlog.get_logger("test").info("one")
    structlog.reset_defaults()
    assert REGISTRY.get_sample_value("gstable_log_lines_dropped_total") == before + 1
