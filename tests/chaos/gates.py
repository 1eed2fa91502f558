"""A local proxy in front of a node or a receiver, that refuses, hangs or answers late."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from urllib.parse import urlsplit

from gstable_server.chain.networks import Networks
from tests.chaos.plan import Mode

CHUNK = 1 << 16
LATE_SECONDS = 1.5
DOORS = ("first", "second")
"""Each network is reached through two proxies, as through two providers of one chain."""


class Gate:
    """Connections to ``url`` of this machine, through an address of its own."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None, "our own addresses name a host"
        self._target = parts.hostname, parts.port
        self._mode: Mode | None = None
        self._changed = asyncio.Event()
        self._open: set[asyncio.StreamWriter] = set()
        self.url = ""

    def set(self, mode: Mode | None) -> None:
        """Behave so from now on; None lets everything through."""
        self._mode = mode
        self._changed.set()
        self._changed = asyncio.Event()
        if mode is Mode.REFUSE:
            self.cut()

    def cut(self) -> None:
        """End every connection that there is."""
        for writer in self._open:
            writer.transport.abort()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side ends it."""
        if self._mode is Mode.REFUSE:
            writer.transport.abort()
            return
        self._open.add(writer)
        try:
            await self._passage()
            there, here = await asyncio.open_connection(*self._target)
            self._open.add(here)
            try:
                await asyncio.gather(self._carry(reader, here), self._carry(there, writer))
            finally:
                self._open.discard(here)
                here.transport.abort()
        except OSError:  # nobody is there, or one side is gone: so is the other, then
            pass
        finally:
            self._open.discard(writer)
            writer.transport.abort()

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while content := await source.read(CHUNK):
            await self._passage()
            sink.write(content)
            await sink.drain()
        with contextlib.suppress(OSError):
            sink.write_eof()

    async def _passage(self) -> None:
        """Wait for as long as the mode says."""
        while self._mode is Mode.HANG:
            await self._changed.wait()
        if self._mode is Mode.LATE:
            await asyncio.sleep(LATE_SECONDS)


@asynccontextmanager
async def open_gate(url: str) -> AsyncIterator[Gate]:
    """A proxy on a free port, until the end of the block."""
    gate = Gate(url)
    server = await asyncio.start_server(gate.handle, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    gate.url = f"http://{host}:{port}"
    try:
        yield gate
    finally:
        server.close()
        gate.set(None)
        gate.cut()


class Gates:
    """The proxies in front of the nodes, by the network's name."""

    def __init__(self, confirmations: int) -> None:
        self._confirmations = confirmations
        self.of: Mapping[str, Sequence[Gate]] = {}

    @asynccontextmanager
    async def between(self, networks: Networks) -> AsyncIterator[Networks]:
        """The networks as they are seen through the proxies."""
        async with AsyncExitStack() as stack:
            self.of = {
                network.name: [
                    await stack.enter_async_context(open_gate(network.rpc_urls[0])) for _ in DOORS
                ]
                for network in networks.all
            }
            yield Networks(
                tuple(
                    replace(
                        network,
                        rpc_urls=tuple(gate.url for gate in self.of[network.name]),
                        confirmations=self._confirmations,
                    )
                    for network in networks.all
                )
            )
