"""The RPC client against providers that fail, lag and lie, over real HTTP."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest
import structlog
from aiohttp import web

from gstable_server.chain.http_rpc import HttpRpc
from gstable_server.chain.rpc import (
    LogFilter,
    NodeRefused,
    ProviderFailed,
    ProviderLied,
    RangeTooLarge,
    UnknownBlock,
)
from gstable_server.kernel.address import Address
from gstable_server.kernel.errors import Passing
from tests.unit.chain.json_rpc import (
    ASKED,
    CHAIN_ID,
    Provider,
    Reply,
    a_log,
    answer,
    block,
    changed,
    hash_text,
    honest,
    raw,
    with_error,
    with_result,
)

pytestmark = pytest.mark.anyio

ROUTER = Address(b"\x50" * 20)
ROUTER_LOGS = LogFilter((ROUTER,))

BROKEN = {
    "502 with HTML": raw(b"<html>Bad Gateway</html>", 502, {"Content-Type": "text/html"}),
    "200 with HTML": raw(b"<html>please log in</html>", 200),
    "429": raw(b"slow down", 429),
    "404": raw(b"", 404),
    "a redirect": raw(b"", 302, {"Location": "http://127.0.0.1:9/"}),
    "nothing": raw(b""),
    "truncated": raw(b'[{"jsonrpc":"2.0","id":0,"result":{"number":"0x'),
    "null": raw(b"null"),
    "a number": raw(b"7"),
    "invalid UTF-8": raw(b'{"id":0,"result":"\xff"}'),
    "an empty batch": raw(b"[]"),
    "one object to a batch": raw(b'{"id":null,"error":{"code":-32600,"message":"no batches"}}'),
    "another id": changed(lambda _q, a: {**a, "id": a["id"] + 1}),
    "the same id twice": changed(lambda _q, a: {**a, "id": 0}),
    "no result": changed(lambda _q, a: {"id": a["id"]}),
    "a text id": changed(lambda _q, a: {**a, "id": str(a["id"])}),
    "logs are null": with_result("eth_getLogs", None),
    "logs are an object": with_result("eth_getLogs", {}),
    "a log without topics": with_result("eth_getLogs", [{"address": "0x"}]),
    "a short address": with_result("eth_getLogs", [a_log(address="0x12")]),
    "odd data": with_result("eth_getLogs", [a_log(data="0x123")]),
    "a pending log": with_result("eth_getLogs", [a_log(blockHash=None)]),
    "a decimal number": with_result("eth_getLogs", [a_log(logIndex="7")]),
    "a huge number": with_result("eth_getLogs", [a_log(logIndex="0x" + "f" * 65)]),
    "rate limited": with_error("eth_getLogs", -32005, "request rate limited"),
    "an internal error": with_error("eth_getLogs", -32603, "internal error"),
}


@pytest.mark.parametrize("reply", BROKEN.values(), ids=BROKEN.keys())
async def test_chn_15_broken_answer_is_a_passing_failure(
    reply: Reply, rpc: HttpRpc, providers: list[Provider]
) -> None:
    providers[0].reply = reply
    with pytest.raises(ProviderFailed):
        await rpc.logs_of_block(ASKED, [ROUTER_LOGS])


@pytest.mark.parametrize("reply", BROKEN.values(), ids=BROKEN.keys())
async def test_chn_15_broken_provider_is_left_for_the_next(
    reply: Reply, session: aiohttp.ClientSession, providers: list[Provider]
) -> None:
    rpc = HttpRpc(session, [provider.url for provider in providers], CHAIN_ID)
    providers[0].reply = reply
    for _ in range(3):
        assert len(await rpc.logs_of_block(ASKED, [ROUTER_LOGS])) == 1
    # The one that answered is asked first from then on.
    assert len(providers[0].bodies) <= 2


async def test_chn_15_hung_provider_is_given_up_after_the_timeout(
    providers: list[Provider],
) -> None:
    async def hang(_request: web.Request, _body: Any) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    providers[0].reply = hang
    timeout = aiohttp.ClientTimeout(total=0.3)
    async with asyncio.timeout(60), aiohttp.ClientSession(timeout=timeout) as impatient:
        with pytest.raises(ProviderFailed):
            await HttpRpc(impatient, [providers[0].url], CHAIN_ID).block_number()


async def test_chn_15_provider_that_sends_without_end_is_given_up(
    rpc: HttpRpc, providers: list[Provider], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gstable_server.chain.http_rpc.ANSWER_BYTES_MAX", 100_000)
    providers[0].reply = raw(b'{"id":0,"result":"' + b"f" * 200_000 + b'"}')
    with pytest.raises(ProviderFailed, match="more than"):
        await rpc.block_number()


async def test_chn_15_retry_after_is_passed_on(rpc: HttpRpc, providers: list[Provider]) -> None:
    providers[0].reply = raw(b"", 429, {"Retry-After": "7"})
    with pytest.raises(Passing) as failure:
        await rpc.block_number()
    assert failure.value.retry_after == 7


async def test_chn_15_batch_answered_out_of_order_is_put_in_order(
    rpc: HttpRpc, providers: list[Provider]
) -> None:
    async def reversed_reply(_request: web.Request, body: Any) -> web.StreamResponse:
        answers = honest(body)
        return web.json_response(answers[::-1] if isinstance(answers, list) else answers)

    providers[0].reply = reversed_reply
    blocks = await rpc.blocks_by_number((3, 5, 101, 4))
    assert [each and each.number for each in blocks] == [3, 5, None, 4]


async def test_chn_15_json_error_with_status_500_is_read(
    rpc: HttpRpc, providers: list[Provider]
) -> None:
    refusal = {"jsonrpc": "2.0", "id": 0, "error": {"code": 3, "message": "execution reverted"}}
    providers[0].reply = raw(json.dumps(refusal).encode(), 500)
    with pytest.raises(NodeRefused):
        await rpc.call(ROUTER, b"")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (-32005, "query returned more than 10000 results"),
        (-32602, "eth_getLogs is limited to a 10,000 range"),
        (-32600, "You can make eth_getLogs requests with up to a 10 block range."),
        (-32000, "block range is too large"),
        (-32000, "Log response size exceeded."),
        (-32614, "eth_getLogs is limited to 5 block range, exceed maximum block range"),
    ],
)
async def test_chn_15_dialects_of_a_range_too_large(
    code: int, message: str, rpc: HttpRpc, providers: list[Provider]
) -> None:
    providers[0].reply = with_error("eth_getLogs", code, message)
    with pytest.raises(RangeTooLarge):
        await rpc.logs_in_range(1, 50, [ROUTER_LOGS])


@pytest.mark.parametrize("message", ["unknown block", "block not found: 0x12", "header not found"])
async def test_chn_12_dialects_of_an_unknown_block(
    message: str, rpc: HttpRpc, providers: list[Provider]
) -> None:
    providers[0].reply = with_error("eth_getLogs", -32000, message)
    with pytest.raises(UnknownBlock):
        await rpc.logs_of_block(ASKED, [ROUTER_LOGS])


async def test_chn_12_empty_answer_for_an_unknown_block_is_not_believed(
    rpc: HttpRpc, providers: list[Provider]
) -> None:
    def change(question: dict[str, Any], honest_answer: Any) -> Any:
        return {**honest_answer, "result": [] if question["method"] == "eth_getLogs" else None}

    providers[0].reply = changed(change)
    with pytest.raises(UnknownBlock):
        await rpc.logs_of_block(ASKED, [ROUTER_LOGS])


async def test_chn_12_lagging_provider_is_left_for_one_that_has_the_block(
    session: aiohttp.ClientSession, providers: list[Provider]
) -> None:
    rpc = HttpRpc(session, [provider.url for provider in providers], CHAIN_ID)
    providers[0].reply = with_result("eth_getBlockByNumber", None)
    here, _ = await rpc.block_and_next(50)
    assert here.number == 50


@pytest.mark.parametrize(
    "log",
    [
        a_log(blockHash=hash_text(9)),
        a_log(removed=True),
        a_log(address="0x" + "51" * 20),
    ],
    ids=["another block", "removed", "another contract"],
)
async def test_chn_12_log_that_does_not_belong_is_a_lie(
    log: dict[str, Any], rpc: HttpRpc, providers: list[Provider]
) -> None:
    providers[0].reply = with_result("eth_getLogs", [log])
    with pytest.raises(ProviderLied):
        await rpc.logs_of_block(ASKED, [ROUTER_LOGS])


async def test_log_from_outside_of_the_range_is_a_lie(
    rpc: HttpRpc, providers: list[Provider]
) -> None:
    with pytest.raises(ProviderLied):
        await rpc.logs_in_range(6, 10, [ROUTER_LOGS])


async def test_chn_05_repeated_log_is_one_and_a_contradicting_one_is_a_lie(
    rpc: HttpRpc, providers: list[Provider]
) -> None:
    providers[0].reply = with_result("eth_getLogs", [a_log()] * 1000)
    assert len(await rpc.logs_of_block(ASKED, [ROUTER_LOGS])) == 1
    providers[0].reply = with_result("eth_getLogs", [a_log(), a_log(data="0x12")])
    with pytest.raises(ProviderLied):
        await rpc.logs_of_block(ASKED, [ROUTER_LOGS])


async def test_several_filters_are_one_request_and_what_both_admit_comes_once(
    rpc: HttpRpc, providers: list[Provider]
) -> None:
    topic, sender = bytes.fromhex(hash_text(1)[2:]), b"\x09" * 32
    wide = LogFilter((Address(b"\x51" * 20), ROUTER), ((topic,),))
    narrow = LogFilter((ROUTER,), ((topic, sender), (sender,)))
    assert len(await rpc.logs_of_block(ASKED, [ROUTER_LOGS, wide, narrow])) == 1
    _, body = providers[0].bodies  # the first asked for the chain id
    asked = [each["params"][0] for each in body if each["method"] == "eth_getLogs"]
    assert [each["method"] for each in body] == ["eth_getLogs"] * 3 + ["eth_getBlockByHash"]
    assert asked == [
        {"blockHash": hash_text(1005), "address": ["0x" + "50" * 20], "topics": []},
        {
            "blockHash": hash_text(1005),
            "address": ["0x" + "51" * 20, "0x" + "50" * 20],
            "topics": [[hash_text(1)]],
        },
        {
            "blockHash": hash_text(1005),
            "address": ["0x" + "50" * 20],
            "topics": [[hash_text(1), "0x" + "09" * 32], ["0x" + "09" * 32]],
        },
    ]


@pytest.mark.parametrize("in_range", [True, False])
async def test_logs_that_no_filter_admits_are_a_lie(
    rpc: HttpRpc, providers: list[Provider], in_range: bool
) -> None:
    others = [LogFilter((ROUTER,), ((bytes(32),),)), LogFilter((Address(b"\x51" * 20),))]
    with pytest.raises(ProviderLied, match="not asked for"):
        if in_range:
            await rpc.logs_in_range(1, 50, others)
        else:
            await rpc.logs_of_block(ASKED, others)


async def test_chn_05_one_place_told_differently_to_two_filters_is_a_lie(
    rpc: HttpRpc, providers: list[Provider]
) -> None:
    def changing(question: Any, honest_answer: Any) -> Any:
        if question["method"] == "eth_getLogs":
            honest_answer["result"] = [a_log(data="0x0" + str(question["id"]))]
        return honest_answer

    providers[0].reply = changed(changing)
    with pytest.raises(ProviderLied, match="one place"):
        await rpc.logs_of_block(ASKED, [ROUTER_LOGS, ROUTER_LOGS])


async def test_other_block_than_asked_for_is_a_lie(rpc: HttpRpc, providers: list[Provider]) -> None:
    providers[0].reply = with_result("eth_getBlockByNumber", block(9))
    with pytest.raises(ProviderLied):
        await rpc.blocks_by_number((8,))


async def test_chn_21_block_from_beyond_the_calendar_is_refused(
    rpc: HttpRpc, providers: list[Provider]
) -> None:
    providers[0].reply = with_result("eth_getBlockByNumber", block(8, timestamp=hex(2**60)))
    with pytest.raises(ProviderFailed):
        await rpc.blocks_by_number((8,))


async def test_chn_24_provider_of_another_chain_is_never_believed(
    session: aiohttp.ClientSession, providers: list[Provider]
) -> None:
    async def other_chain(_request: web.Request, body: Any) -> web.StreamResponse:
        if isinstance(body, dict) and body["method"] == "eth_chainId":
            return web.json_response({**answer(body), "result": "0x1"})
        return web.json_response(honest(body))

    providers[0].reply = other_chain
    with pytest.raises(ProviderLied, match="follows chain 1,"):
        await HttpRpc(session, [providers[0].url], CHAIN_ID).block_number()
    both = HttpRpc(session, [provider.url for provider in providers], CHAIN_ID)
    assert await both.block_number() == 100
    assert await HttpRpc(session, [providers[0].url], CHAIN_ID).chain_id() == 1


async def test_chain_id_is_that_of_the_first_provider_that_answers(
    session: aiohttp.ClientSession, providers: list[Provider]
) -> None:
    async def down(_request: web.Request, _body: Any) -> web.StreamResponse:
        return web.Response(status=503)

    providers[0].reply = down
    rpc = HttpRpc(session, [provider.url for provider in providers], CHAIN_ID)
    assert await rpc.chain_id() == CHAIN_ID
    providers[1].reply = down
    with pytest.raises(ProviderFailed):
        await rpc.chain_id()


async def test_refusal_is_the_callers_and_no_other_provider_is_asked(
    session: aiohttp.ClientSession, providers: list[Provider]
) -> None:
    rpc = HttpRpc(session, [provider.url for provider in providers], CHAIN_ID)
    providers[0].reply = with_error("eth_call", 3, "execution reverted", "0x1234")
    with pytest.raises(NodeRefused) as refusal:
        await rpc.call(ROUTER, b"")
    assert refusal.value.data == b"\x12\x34"
    assert providers[1].bodies == []


async def test_refusal_can_be_stored_whatever_the_contract_returned(
    rpc: HttpRpc, providers: list[Provider]
) -> None:
    # The selector of a custom error, as nodes quote it.
    providers[0].reply = with_error("eth_call", 3, "custom error 0x1: \x00\x01é\x9f\u202e.")
    with pytest.raises(NodeRefused) as refusal:
        await rpc.call(ROUTER, b"")
    assert str(refusal.value) == "custom error 0x1: ??é??."


async def test_provider_that_is_not_there_is_a_passing_failure(
    session: aiohttp.ClientSession,
) -> None:
    with pytest.raises(ProviderFailed):
        await HttpRpc(session, ["http://127.0.0.1:9/"], CHAIN_ID).block_number()


async def test_secret_path_of_the_url_is_not_in_the_message(
    session: aiohttp.ClientSession, providers: list[Provider]
) -> None:
    url = providers[0].url
    await providers[0].server.close()
    with pytest.raises(ProviderFailed) as failure:
        await HttpRpc(session, [url], CHAIN_ID).block_number()
    assert "/key" not in str(failure.value)


async def test_key_and_password_in_the_url_are_not_told_of_a_malformed_answer(
    session: aiohttp.ClientSession,
) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"this is no HTTP\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    urls = [f"http://user:PASSWORD@127.0.0.1:{port}/SECRET"] * 2
    with structlog.testing.capture_logs() as written, pytest.raises(ProviderFailed) as failure:
        await HttpRpc(session, urls, CHAIN_ID).block_number()
    server.close()
    told = f"{failure.value} {written}"
    assert f"127.0.0.1:{port}" in told
    assert "SECRET" not in told
    assert "PASSWORD" not in told
