"""The call of the request log: a row beside those of ``sdk_calls``."""

from __future__ import annotations

from typing import Any

from tests.contract.sdk_counter import Arguments, Counter, args, happy
from tests.running import eventually


def _asked(counter: Counter) -> Arguments:
    """A request of ours that is in the log by now; it is written within a second."""
    since = counter.client.log.feed().cursor
    counter.product()
    eventually(lambda: counter.client.log.feed(since).entries, "the request is in the log")
    return args(since)


@happy("log.feed", _asked)
def _(counter: Counter, given: Arguments, found: Any) -> None:
    [entry] = found.entries
    assert (entry.method, entry.path) == ("POST", "/product/create")
    assert (entry.status, entry.code) == (200, 0)
    assert entry.request_id.startswith("req_")
    assert entry.key_id.startswith("key_")
    assert counter.client.log.feed("tail", 1) == found
