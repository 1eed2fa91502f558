"""``listen``: the merchant's events, without a public address, signed anew for a local server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp

from gstable import Event
from gstable_server.cli.merchant.connection import MerchantFailed, open_client
from gstable_server.cli.merchant.events import feed, is_wanted, object_of
from gstable_server.cli.merchant.output import clean, print_json, print_line, tell
from gstable_server.kernel.clock import UnixSeconds
from gstable_server.kernel.ids import EventId
from gstable_server.plumbing.http_client import USER_AGENT
from gstable_server.plumbing.json_text import encode_json
from gstable_server.plumbing.system import SystemIdMint
from gstable_server.webhooks.model import KEY_PREFIX, KEY_RANDOM_LENGTH
from gstable_server.webhooks.signing import signature_headers

ANSWER_SECONDS = 15.0
"""What the server gives an endpoint, too."""
ANSWER_BYTES_MAX = 64 * 1024
DOWN_SECONDS = 30.0
"""How long an event waits for a local server that takes no connection."""
LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Forwarded:
    """What became of one event: ``status`` is the local server's, None without an answer."""

    status: int | None
    problem: str | None
    duration_ms: int

    @property
    def is_accepted(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


async def listen(url: str, patterns: Sequence[str], secret: str | None, *, as_json: bool) -> None:
    """Forward every wanted event to ``url``, one after the other in the order of the feed, until
    interrupted. ``secret`` is the key to sign with, a new one unless given.

    A local server that takes no connection is waited for; any answer ends with the event, as what
    a developer wants to see is the answer. While GStable's server is away nothing is lost: its
    feed goes on from where it was. What happens while nobody listens is not forwarded later.
    """
    fresh = None
    if secret is None:
        secret = fresh = KEY_PREFIX + SystemIdMint().token(KEY_RANDOM_LENGTH)
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    async with open_client() as client, aiohttp.ClientSession(timeout=timeout) as http:
        cursor = (await client.event.feed("start")).cursor
        _show_start(url, fresh, as_json=as_json)
        forwarder = Forwarder(http, url, secret)
        async for event in feed(client, cursor):
            if is_wanted(event, patterns):
                _show(event, await forwarder.forward(event), as_json=as_json)


class Forwarder:
    """Sends events to one local address, each signed as the server's deliveries are."""

    def __init__(self, http: aiohttp.ClientSession, url: str, secret: str) -> None:
        self._http = http
        self._url = url
        self._secret = secret
        self._is_down = False

    async def forward(self, event: Event) -> Forwarded:
        """Send it, and wait a while for a server that is not up. One that stayed away for the
        event before is not waited for again until it has answered."""
        deadline = time.monotonic() + (0 if self._is_down else DOWN_SECONDS)
        waits = False
        while True:  # bounded: by the deadline
            try:
                forwarded = await self._send(event)
            except aiohttp.ClientConnectorError:
                if time.monotonic() >= deadline:
                    self._is_down = True
                    return Forwarded(None, "nothing listens there", 0)
                if not waits:
                    waits = True
                    tell(f"nothing listens at {self._url} yet, waiting {DOWN_SECONDS:.0f} s")
                await asyncio.sleep(LOOK_SECONDS)
                continue
            self._is_down = False
            return forwarded

    async def _send(self, event: Event) -> Forwarded:
        body = letter(event)
        started = time.monotonic()
        at = UnixSeconds(int(time.time()))
        headers = {
            "user-agent": USER_AGENT,
            "accept-encoding": "identity",
            "content-type": "application/json",
            **signature_headers([self._secret], EventId(event.event_id), at, body),
        }
        status = problem = None
        try:
            async with self._http.post(
                self._url, data=body, headers=headers, allow_redirects=False
            ) as response:
                await response.content.read(ANSWER_BYTES_MAX)
                status = response.status
        except aiohttp.ClientConnectorError:
            raise
        except TimeoutError:
            problem = f"no answer within {ANSWER_SECONDS:.0f} s"
        except aiohttp.InvalidURL as failure:
            raise MerchantFailed(f"{self._url} is no address to forward to") from failure
        except aiohttp.ClientError as failure:
            problem = f"the answer broke off: {failure}"
        return Forwarded(status, problem, round((time.monotonic() - started) * 1000))


def letter(event: Event) -> bytes:
    """The event as an endpoint gets it."""
    return encode_json(
        {
            "eventId": event.event_id,
            "eventType": event.event_type,
            "businessType": event.business_type or None,
            "occurrence": event.occurrence,
            "isSubscribable": event.is_subscribable,
            "payload": event.payload,
            "sequence": event.sequence,
            "apiVersion": event.api_version,
        }
    )


def _show_start(url: str, fresh: str | None, *, as_json: bool) -> None:
    """``fresh``: the key that was made for this time; one that was given is not repeated."""
    if as_json:
        print_json({"forwardTo": url, "secret": fresh})
        return
    print_line(("Forwarding to", "bold"), (url, ""))
    print_line(("Signed with", "bold"), (fresh or "the key that was given", ""))
    print_line(("Ctrl-C ends it.", "dim"))


def _show(event: Event, forwarded: Forwarded, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "eventId": event.event_id,
                "eventType": event.event_type,
                "objectId": object_of(event),
                "sequence": event.sequence,
                "statusCode": forwarded.status,
                "error": forwarded.problem,
                "durationMs": forwarded.duration_ms,
            }
        )
        return
    answer = f"{forwarded.status}" if forwarded.problem is None else clean(forwarded.problem)
    print_line(
        (event.occurrence[11:], "dim"),
        (event.event_id, ""),
        (event.event_type, "bold"),
        (answer, "green" if forwarded.is_accepted else "red"),
        (f"{forwarded.duration_ms} ms", "dim"),
    )
