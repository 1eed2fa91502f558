"""PDFs are set in a process of its own: it takes a second of CPU each, in which this process would
answer nobody.

The child is started when the first receipt is asked for and ends when none was asked for a while.
It is told what to set through its input and answers through its output. It gets none of our
settings: what merchants and payers wrote, and fonts, are read where no key is. When this process
dies, however it does, its input ends and so does the child.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import subprocess
import sys
import threading
from collections import OrderedDict
from datetime import datetime

import msgspec
import structlog

from gstable_server.kernel.errors import Passing
from gstable_server.web.receipts.order import PDF, Fonts, Order, Reading, read, write
from gstable_server.web.receipts.sheet import Sheet

log = structlog.get_logger(__name__)

KEPT = 64
WAITING_MAX = 8
SECONDS = 60.0
"""For one receipt, and for the start of the child before the first."""
IDLE_SECONDS = 120.0
ENVIRONMENT = ("PATH", "PYTHONPATH", "HOME", "LANG", "LC_ALL")
COMMAND = ("-m", "gstable_server.web.receipts.typesetter")
"""What needs the libraries of PDFs is imported there alone: they take half a second."""


class Press:
    """The child process, and the receipts that it set last."""

    def __init__(self, fonts: Fonts, *, idle_seconds: float = IDLE_SECONDS) -> None:
        self._fonts = fonts
        self._idle_seconds = idle_seconds
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._child: subprocess.Popen[bytes] | None = None
        self._rest: asyncio.TimerHandle | None = None
        self._kept: OrderedDict[bytes, bytes | None] = OrderedDict()

    @property
    def child_id(self) -> int | None:
        """The process identifier of the child, None while there is none."""
        return self._child.pid if self._child else None

    async def set(self, sheet: Sheet, reading: Reading, at: datetime) -> bytes | None:
        """The document, as ``pdf.pdf`` makes it; None where no font has a letter of it.

        Raises ``Passing`` when too many wait, and when the child died of it: the next one gets
        another child.
        """
        cjk = str(self._fonts.cjk) if self._fonts.cjk else None
        wanted = Order(sheet, reading.tag, reading.direction, at, cjk)
        order = msgspec.json.encode(wanted, enc_hook=str)  # typed ids are text
        key = hashlib.sha256(order).digest()
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        if self._waiting >= WAITING_MAX:
            raise Passing("too many receipts are being set", retry_after=5)
        self._waiting += 1
        try:
            async with self._turn:
                # Whoever waited before may have asked for the same.
                if key not in self._kept:
                    self._keep(key, await self._ask(order))
                return self._kept[key]
        finally:
            self._waiting -= 1

    def _keep(self, key: bytes, content: bytes | None) -> None:
        self._kept[key] = content
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    async def _ask(self, order: bytes) -> bytes | None:
        if self._rest is not None:
            self._rest.cancel()
        answer = b""
        try:
            async with asyncio.timeout(SECONDS):
                child = self._child or self._started()
                answer = await asyncio.to_thread(_exchange, child, order)
        except (OSError, EOFError) as failure:  # a ``TimeoutError`` is an ``OSError``
            log.warning("the process that sets receipts died or hangs", error=repr(failure))
            raise Passing("a receipt could not be set", retry_after=1) from failure
        finally:
            # Without an answer it is of no use: what it says next would not be ours.
            if not answer:
                self.close()
        loop = asyncio.get_running_loop()
        self._rest = loop.call_later(self._idle_seconds, self.close)
        return answer[1:] if answer[:1] == PDF else None

    def _started(self) -> subprocess.Popen[bytes]:
        self._child = subprocess.Popen(
            [sys.executable, *COMMAND],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
        )
        return self._child

    def close(self) -> None:
        """End the child, if there is one; the next receipt starts another."""
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            threading.Thread(target=_bury, args=(child,), daemon=True).start()


def _exchange(child: subprocess.Popen[bytes], order: bytes) -> bytes:
    """Runs in a thread. Raises ``OSError`` or ``EOFError`` when there is no answer."""
    assert child.stdin is not None
    assert child.stdout is not None
    write(child.stdin, order)
    return read(child.stdout)


def _bury(child: subprocess.Popen[bytes]) -> None:
    """Wait for its end, or it would stay in the table of processes."""
    child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):  # what it was not told any more
                pipe.close()
