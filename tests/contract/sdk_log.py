"""The call of the request log: a row beside those of ``sdk_calls``."""

from __future__ import annotations

from typing import Any

from tests.contract.sdk_counter import Arguments, Counter, args, happy
from tests.running import eventually


def _asked(counter: Counter) -> Arguments:
    """A request of ours that is in the log by now, with nothing behind it: it is written within a
    second, as those before it are."""
    since = counter.client.log.feed().cursor
    link_id = counter.link()
    counter.client.payment_link.detail(link_id)
    path = f"/payment/link/{link_id}"
    counter.kept["asked"] = path

    def last() -> bool:
        entries = counter.client.log.feed(since).entries
        return bool(entries) and entries[-1].path == path

    eventually(last, "the request is in the log")
    return args(since)


@happy("log.feed", _asked)
def _(counter: Counter, given: Arguments, found: Any) -> None:
    entry = found.entries[-1]
    assert (entry.method, entry.path) == ("GET", counter.kept["asked"])
    assert (entry.status, entry.code) == (200, 0)
    assert entry.request_id.startswith("req_")
    assert entry.key_id.startswith("key_")
    tail = counter.client.log.feed("tail", 1)
    assert (tail.entries, tail.cursor) == ((entry,), found.cursor)
