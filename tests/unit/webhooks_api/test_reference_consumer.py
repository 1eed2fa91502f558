"""The receiver of docs/guide/webhooks.md, as it is shown there: whatever order letters come in."""

from __future__ import annotations

import json
import re
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from gstable import webhooks
from gstable_server.kernel.clock import unix_seconds
from gstable_server.kernel.ids import EventId
from gstable_server.plumbing.system import SystemClock
from gstable_server.webhooks.signing import signature_headers
from gstable_server.webhooks.wire import seal

KEY = "wkk_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcd"
STORY = ("created", "paid", "settling", "completed")


@pytest.fixture(scope="module")
def shown(repository: Path) -> dict[str, Any]:
    """The names that the guide's receiver defines."""
    text = (repository / "docs" / "guide" / "webhooks.md").read_text()
    sources = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    [source] = [one for one in sources if "class Shop" in one]
    names: dict[str, Any] = {"__name__": "shop"}
    exec(compile(source, "docs/guide/webhooks.md", "exec", dont_inherit=True), names)
    return names


Letter = tuple[bytes, dict[str, str]]


def letter(event_type: str, sequence: int, session_id: str = "sess_1") -> Letter:
    """What the server would send of an event with that sequence."""
    example, _ = webhooks.example(event_type, KEY)
    read: Any = json.loads(example)
    read["payload"]["sessionData"]["sessionId"] = session_id
    event_id = EventId(f"evt_{sequence:016d}")
    read.update(eventId=str(event_id), sequence=sequence)
    body = seal(read)
    at = unix_seconds(SystemClock().now())
    return body, signature_headers((KEY,), event_id, at, body)


def story(session_id: str = "sess_1", first: int = 1) -> list[Letter]:
    return [
        letter(f"session.{name}", first + 10 * place, session_id)
        for place, name in enumerate(STORY)
    ]


def rows(shop: Any, table: str) -> list[Any]:
    found: list[Any] = shop.db.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()
    return found


def test_every_order_and_repetition_ends_alike(shown: dict[str, Any]) -> None:
    letters = story()
    for order in permutations(range(len(letters))):
        shop = shown["Shop"](":memory:", KEY)
        for number in (*order, *order[:2]):
            assert shop.receive(*letters[number]) == 204
            shop.work()
        assert rows(shop, "sessions") == [("sess_1", 31, "completed")], order
        assert rows(shop, "shipments") == [("sess_1",)]
        assert len(rows(shop, "inbox")) == len(letters)


def test_sessions_do_not_wait_for_each_other(shown: dict[str, Any]) -> None:
    shop = shown["Shop"](":memory:", KEY)
    shop.receive(*story("sess_1")[0])
    for one in story("sess_2", 2):
        shop.receive(*one)
    shop.work()
    assert rows(shop, "sessions") == [("sess_1", 1, "initialized"), ("sess_2", 32, "completed")]
    assert rows(shop, "shipments") == [("sess_2",)]


def test_what_was_answered_is_on_disk(shown: dict[str, Any], tmp_path: Path) -> None:
    """The process ends after the answer, and again in the middle of its work."""
    path = str(tmp_path / "shop.db")
    shop = shown["Shop"](path, KEY)
    for one in story():
        assert shop.receive(*one) == 204
    shop.db.close()

    dying = shown["Shop"](path, KEY)
    handle = dying.handle

    def dies(*row: Any) -> None:
        handle(*row)
        if row[2] == "session.completed":
            raise KeyboardInterrupt

    dying.handle = dies
    with pytest.raises(KeyboardInterrupt):
        dying.work()
    shop = shown["Shop"](path, KEY)
    assert rows(shop, "sessions") == [("sess_1", 21, "settling")]
    assert rows(shop, "shipments") == []
    shop.work()
    assert rows(shop, "sessions") == [("sess_1", 31, "completed")]
    assert rows(shop, "shipments") == [("sess_1",)]


def test_what_is_not_ours_is_refused_and_not_kept(shown: dict[str, Any]) -> None:
    shop = shown["Shop"](":memory:", KEY)
    body, headers = story()[3]
    assert shop.receive(body.replace(b"sess_1", b"sess_2"), headers) == 400
    assert shop.receive(body, {}) == 400
    assert rows(shop, "inbox") == []


@pytest.mark.parametrize(
    "event_type", ["product.created", "payment.link.updated", "account.removed"]
)
def test_events_of_other_objects_change_no_session(shown: dict[str, Any], event_type: str) -> None:
    shop = shown["Shop"](":memory:", KEY)
    assert shop.receive(*webhooks.example(event_type, KEY)) == 204
    shop.work()
    [(_, _, kind, object_id, _, done)] = rows(shop, "inbox")
    assert (kind, done) == (event_type, 1)
    assert object_id.split("_")[0] in {"prd", "lnk", "acc"}
    assert rows(shop, "sessions") == []
