"""What the SDK's tests share: both clients behind one call, a real little server, and samples."""

import asyncio
import inspect
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from gstable import AsyncClient, Client, MockTransport, Response
from gstable._async.seam import AsyncSeam
from gstable._sync.seam import Seam

API_KEY = "sk_test_0123456789"
NOW = 1_800_000_000

Call = Callable[[Any], Any]


@dataclass
class World:
    """A clock that only sleeping moves, chance that always says its most, and counted keys."""

    now: float = NOW
    slept: list[float] = field(default_factory=list)
    keys: int = 0

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    async def sleep_async(self, seconds: float) -> None:
        self.sleep(seconds)

    def mint_key(self) -> str:
        self.keys += 1
        return f"key-{self.keys}"


async def settled(answer: Any) -> Any:
    if inspect.isasyncgen(answer):
        return [item async for item in answer]
    return await answer


def ask_sync(call: Call, world: World, transport: Any = None, **settings: Any) -> Any:
    """What the call answers on a `Client`; an iterator as a list."""
    seam = Seam(world.sleep, lambda: world.now, lambda: 1.0, world.mint_key, lambda: world.now)
    with Client(API_KEY, transport=transport, _seam=seam, **settings) as client:
        answer = call(client)
        return list(answer) if inspect.isgenerator(answer) else answer


def ask_async(call: Call, world: World, transport: Any = None, **settings: Any) -> Any:
    """The same on an `AsyncClient`."""
    seam = AsyncSeam(
        world.sleep_async, lambda: world.now, lambda: 1.0, world.mint_key, lambda: world.now
    )

    async def run() -> Any:
        async with AsyncClient(API_KEY, transport=transport, _seam=seam, **settings) as client:
            return await settled(call(client))

    return asyncio.run(run())


ASKS = {"sync": ask_sync, "async": ask_async}


def answering(data: object) -> MockTransport:
    """A transport whose server always answers `data`."""
    return MockTransport(lambda request: Response.envelope(data))


@dataclass
class Step:
    """What the little server does with one request.

    `reset` breaks the connection; `hang` holds the answer until the server stops. `raw` is sent
    as it stands and the connection ended; with `drip`, byte by byte with so many seconds between.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    reset: bool = False
    hang: bool = False
    raw: bytes = b""
    drip: float = 0.0


def envelope(data: object = None, code: int = 0, status: int = 200, **headers: str) -> Step:
    body = json.dumps({"code": code, "message": "success" if code == 0 else "no", "data": data})
    return Step(status, body.encode(), {n.replace("_", "-"): v for n, v in headers.items()})


@dataclass
class Seen:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class LittleServer:
    """Real HTTP on a free port. `plan` is consumed request by request, its last step stays."""

    def __init__(self) -> None:
        self.plan: list[Step] = []
        self.seen: list[Seen] = []
        self.stopping = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 65_536  # headers and body in one packet: two would wait for an ACK

            def serve(handler) -> None:  # noqa: N805 - `self` is the server
                self.handle(handler)

            do_GET = do_POST = serve  # noqa: N815 - the names that http.server calls

            def log_message(handler, *parts: object) -> None:  # noqa: N805
                """Quiet."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("content-length", "0")))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self.seen.append(Seen(handler.command, handler.path, headers, body))
        step = self.plan.pop(0) if len(self.plan) > 1 else self.plan[0]
        if step.hang:
            self.stopping.wait(60)
        if step.hang or step.reset:
            # Linger 0 makes the close a reset, which is what a crashed peer looks like.
            linger = struct.pack("ii", 1, 0)
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            handler.close_connection = True
            handler.connection.close()
            return
        if step.raw:
            handler.close_connection = True
            send_raw(handler, step, self.stopping)
            return
        handler.send_response(step.status)
        for name, value in step.headers.items():
            handler.send_header(name, value)
        handler.send_header("content-length", str(len(step.body)))
        handler.end_headers()
        handler.wfile.write(step.body)


def send_raw(handler: BaseHTTPRequestHandler, step: Step, stopping: threading.Event) -> None:
    if not step.drip:
        handler.wfile.write(step.raw)
        return
    for byte in step.raw:
        if stopping.wait(step.drip):
            return
        try:
            handler.wfile.write(bytes([byte]))
            handler.wfile.flush()
        except OSError:
            return


@contextmanager
def little_server() -> Iterator[LittleServer]:
    server = LittleServer()
    thread = threading.Thread(target=server.http.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        server.http.shutdown()
        server.http.server_close()
        thread.join()
