"""The floor: the same database work behind the barest HTTP, written by hand.

One ASGI function on uvicorn, asyncpg, no checks, no authentication, no log, no framework: what is
left of create-session and get-session when everything is taken away that a product needs.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import msgspec
import uvicorn

from bench.sessions import statements

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

CREATE_PATH = "/create"
GET_PATH = "/get/"
LIFETIME = timedelta(minutes=30)


class Floor:
    """The ASGI application; ``merchant_id`` is who all sessions belong to."""

    def __init__(self, database_url: str, merchant_id: str, pool_size: int) -> None:
        self._database_url = database_url
        self._merchant_id = merchant_id
        self._pool_size = pool_size
        self._pool: asyncpg.Pool[Any] | None = None

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        path = scope["path"]
        if path == CREATE_PATH:
            data = await self.create(msgspec.json.decode(await _body(receive)))
        else:
            data = await self.get(path.removeprefix(GET_PATH))
        answer = b'{"code":0,"message":"success","data":' + data + b"}"
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(answer)).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._pool = await asyncpg.create_pool(
            self._database_url, min_size=self._pool_size, max_size=self._pool_size, reset=_keep
        )
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._pool.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def create(self, wanted: dict[str, Any]) -> bytes:
        """Look up, insert, and give the session back as JSON."""
        assert self._pool is not None
        now = datetime.now(UTC)
        session_id = "sess_" + secrets.token_hex(16)
        ids = [line["productId"] for line in wanted["lineItems"] if "productId" in line]
        async with self._pool.acquire() as connection, connection.transaction():
            recipient = await connection.fetchval(
                statements.FIND_ACCOUNT, wanted["accountId"], self._merchant_id
            )
            products = await connection.fetch(statements.FIND_PRODUCT, ids, self._merchant_id)
            session = _session(wanted, session_id, recipient, list(products), now)
            rendered = msgspec.json.encode(session)
            await connection.execute(
                statements.INSERT_SESSION,
                session_id,
                secrets.token_bytes(32),
                self._merchant_id,
                session["clientCode"],
                wanted["accountId"],
                recipient,
                wanted["settlementToken"],
                session["amount"],
                msgspec.json.encode(session["lineItems"]).decode(),
                wanted["successUrl"],
                msgspec.json.encode(wanted["metadata"]).decode(),
                now + LIFETIME,
                now,
            )
            await connection.execute(
                statements.INSERT_EVENT,
                "evt_" + secrets.token_hex(8),
                session_id,
                self._merchant_id,
                '{"sessionData":' + rendered.decode() + ',"transaction":null}',
                now,
            )
        return rendered

    async def get(self, session_id: str) -> bytes:
        """The session's row as JSON, with its payments."""
        assert self._pool is not None
        async with self._pool.acquire() as connection:
            row = await connection.fetchrow(statements.FIND_SESSION, session_id)
            payments = await connection.fetch(statements.FIND_PAYMENTS, session_id)
        assert row is not None
        session = dict(row)
        session["line_items"] = msgspec.Raw(session["line_items"].encode())
        session["metadata"] = msgspec.Raw(session["metadata"].encode())
        return msgspec.json.encode(
            {"session": session, "payments": [dict(one) for one in payments]}
        )


async def _keep(_connection: object) -> None:
    """The pool's reset would cost every request a round trip, which the product saves too."""


async def _body(receive: Receive) -> bytes:
    body = b""
    more = True
    while more:
        message = await receive()
        body += message["body"]
        more = message.get("more_body", False)
    return body


def _session(
    wanted: dict[str, Any],
    session_id: str,
    recipient: bytes,
    products: list[asyncpg.Record],
    now: datetime,
) -> dict[str, Any]:
    names = [product["name"] for product in products]
    lines = [{"lineItemId": "li_" + secrets.token_hex(8), **line} for line in wanted["lineItems"]]
    return {
        "sessionId": session_id,
        "clientCode": "cc_" + secrets.token_hex(16),
        "recipient": "0x" + recipient.hex(),
        "settlementToken": wanted["settlementToken"],
        "amount": sum(line["quantity"] * line["unitPrice"] for line in lines),
        "lineItems": {"items": lines, "names": names},
        "expirationTime": int((now + LIFETIME).timestamp()),
        "successUrl": wanted["successUrl"],
        "createAt": now,
        "status": "initialized",
        "metadata": wanted["metadata"],
    }


def main() -> None:
    """Serve on the port, for the merchant and with the pool that the command line names."""
    port, merchant_id, pool_size = sys.argv[1:]
    uvicorn.run(
        Floor(os.environ["DATABASE_URL"], merchant_id, int(pool_size)),
        host="127.0.0.1",
        port=int(port),
        loop="uvloop",
        http="httptools",
        log_level="warning",
        access_log=False,
    )


if __name__ == "__main__":
    main()
