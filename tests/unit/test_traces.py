"""One payment in traces: from the merchant's request over the chain to the letter that tells of it,
and nothing in them that is nobody's business."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from gstable_server import flow
from gstable_server.chain import store as chain_store
from gstable_server.chain.facts import Fact, FactWhat
from gstable_server.kernel.ids import SessionId
from gstable_server.plumbing import tracing
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.http_client import GuardedClient
from gstable_server.plumbing.outbox import relay_once
from gstable_server.sessions import operations, routes
from gstable_server.webhooks.dispatch import Dispatcher, Pace
from tests.unit.catalog.support import serving
from tests.unit.sessions.till import Till
from tests.unit.sessions.world import World, new_world
from tests.unit.webhooks.support import new_endpoint, receiving

CANARY = "canary-7f3a9b"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    tracing.start_with(SimpleSpanProcessor(exporter), "all", "1")
    yield exporter
    tracing.stop()


async def relay_all(world: World, http: GuardedClient) -> None:
    whole = flow.World(db=world.db, desk=world.desk, http=http)

    async def handle(tx: object, batch: object) -> None:
        await flow.handle(tx, whole, batch)  # type: ignore[arg-type]

    while await relay_once(world.db, handle):
        pass
    await Dispatcher(world.db, http, Pace()).deliver_due()


def named(spans: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in spans.get_finished_spans() if span.name == name]


@pytest.mark.anyio
async def test_a_payment_is_one_story_from_request_over_chain_to_letter(
    database: Database, spans: InMemorySpanExporter
) -> None:
    # Given a merchant with an endpoint, and a session that was opened over HTTP and prepared
    world = await new_world(database)
    async with (
        serving(database, routes.routes(world.desk)) as server,
        receiving() as receiver,
        GuardedClient(allow_loopback=True) as http,
    ):
        await new_endpoint(database, world.tenant, f"{receiver.url}?token={CANARY}",
                           "session.created", "session.paid")  # fmt: skip
        till = Till(await server.caller(world.tenant), world)
        made = await till.session(metadata={"note": CANARY}, successUrl=f"https://s.io/{CANARY}")
        view = await database.run(operations.view, SessionId(made["sessionId"]))
        await world.prepare(view)
        await relay_all(world, http)
        # When its payment is seen on the chain
        async with database.begin() as tx:
            with tracing.span("index block"):
                await chain_store.add_facts(tx, [Fact(FactWhat.SEEN, world.log(view))])
        await relay_all(world, http)
    # Then the request, the event and its letter are one trace, which the receiver was handed
    [request] = named(spans, "POST /session/checkout/create")
    created, paid = named(spans, "webhook attempt")
    assert created.context.trace_id == request.context.trace_id
    handed = [letter.headers["traceparent"] for letter in receiver.letters]
    assert [one.split("-")[1] for one in handed] == [
        f"{span.context.trace_id:032x}" for span in (created, paid)
    ]
    # and the fact, its handling and its letter another, with a link to the first
    [block] = named(spans, "index block")
    [seen] = [span for span in named(spans, "chain.payment_seen") if span.links]
    traces = {span.context.trace_id for span in (block, seen, paid)}
    assert len(traces) == 1
    assert [link.context.trace_id for link in seen.links] == [request.context.trace_id]
    # and no span holds what was sent
    told = json.dumps([json.loads(span.to_json()) for span in spans.get_finished_spans()])
    assert request.name in told
    assert CANARY not in told
    assert "gsk_" not in told
    assert "127.0.0.1" not in told


@pytest.mark.anyio
async def test_of_a_failure_only_its_type_is_told(spans: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match=CANARY), tracing.span("turn"):
        raise ValueError(f"https://rpc.example.com/{CANARY}")
    [turn] = named(spans, "turn")
    assert (turn.status.is_ok, turn.status.description) == (False, "ValueError")
    assert CANARY not in turn.to_json()


@pytest.mark.anyio
async def test_a_context_that_is_none_begins_anew(spans: InMemorySpanExporter) -> None:
    for odd in ("", "00-nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"):
        with tracing.span("turn", parent=odd):
            tracing.link(odd)
    assert all(span.parent is None and not span.links for span in named(spans, "turn"))


@pytest.mark.anyio
async def test_what_is_off_costs_nothing(database: Database) -> None:
    assert tracing.span("one") is tracing.span("another", parent="x", session_id="y")
    assert tracing.current() is None
    world = await new_world(database)
    await world.open()
    async with database.read() as tx:
        assert await tx.fetchval("SELECT count(*) FROM events WHERE trace_parent <> ''") == 0


def test_what_is_off_is_not_even_loaded() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, gstable_server.plumbing.db; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert "gstable_server.plumbing.tracing" in loaded
    assert not [name for name in loaded if name.startswith("opentelemetry")]
