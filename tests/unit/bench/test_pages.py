"""What the measurement of open pages says of what it measured; how fast it was is nobody's
promise here. The streams themselves are judged in ``tests/unit/web/test_events.py``."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from bench.pages.run import KINDS, Measured, Page, table
from bench.percentiles import Result


def test_the_table_names_every_kind_and_the_cores_of_both() -> None:
    seconds = {kind: Result.of([0.01, 0.02, 0.5]) for kind in KINDS}
    text = table({name: Measured(seconds, 0.25, 0.5) for name in ("product", "floor")}, (1.0, 2.0))
    for kind in KINDS:
        assert f"product {kind}" in text
        assert f"floor {kind}" in text
    assert "0.25 with a block a second, 0.50 on the whole" in text


@pytest.mark.anyio
async def test_a_page_notes_what_it_waits_for_however_it_is_cut() -> None:
    page = Page("/pay/x/events")
    page.wait_for(b'"state":"paid"')
    page.data_received(b'HTTP/1.1 200 OK\r\n\r\ndata: {"state":"pa')
    assert not page.told.done()
    page.data_received(b'id"}\n\n')
    assert await page.told > 0


@pytest.mark.anyio
async def test_a_page_that_is_refused_says_so() -> None:
    page = Page("/pay/x/events")
    page.wait_for(b"data: ")
    page.data_received(b"HTTP/1.1 429 Too Many Requests\r\n\r\n")
    with pytest.raises(ConnectionError, match="429"):
        await asyncio.wait_for(page.told, 1)


@pytest.mark.slow
def test_a_short_run_measures_both(repository: Path) -> None:
    command = [sys.executable, "-m", "bench", "pages", "--pages", "5", "--changes", "2"]
    done = subprocess.run(
        [*command, "--blocks", "1"], cwd=repository, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "product together" in done.stdout
