"""The MCP server of one merchant: which tools there are, and what hosts are told of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.tools import Tool
from mcp.types import ToolAnnotations

from gstable import AsyncClient, __version__
from gstable_server.agents.mcp.tools import ReadingTools, WritingTools, refusals_told

INSTRUCTIONS = """\
Tools of a merchant who takes stablecoin payments. A payment link is a page that many can pay; a
session is one payment. Give payers link_url or payment_url, and look with get_session whether the
money has come: only status `completed` means that it has arrived. Prices are USD as decimal text.
You cannot move money, and you never need a private key: never ask anybody for one. A failed call
answers a code and a message of the platform; tell them as they are."""

RESTRICTED_KEY = "rk_"
READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, open_world_hint=False)
CREATES = ToolAnnotations(
    read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False
)
CANCELS = ToolAnnotations(
    read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False
)


def may_write(api_key: str) -> bool:
    """False for a restricted key, whose prefix says so (section 2, Auth). The API refuses it all
    the same; a tool that always fails would only lead a model astray."""
    return not api_key.removeprefix("Bearer ").startswith(RESTRICTED_KEY)


def merchant_server(client: AsyncClient, *, writes: bool) -> MCPServer[None]:
    """The server over ``client``, which stays the caller's to close; without ``writes`` only the
    tools that read."""
    return MCPServer(
        "gstable",
        title="GStable",
        instructions=INSTRUCTIONS,
        version=__version__,
        tools=[*_reading(client), *(_writing(client) if writes else [])],
        # Whatever the API refuses is answered; only what is broken is worth a line.
        log_level="WARNING",
    )


def _reading(client: AsyncClient) -> list[Tool]:
    tools = ReadingTools(client)
    return [
        _tool(tools.list_accounts, "List receiving accounts", READS),
        _tool(tools.list_products, "List products", READS),
        _tool(tools.list_payment_links, "List payment links", READS),
        _tool(tools.get_payment_link, "Read a payment link", READS),
        _tool(tools.list_sessions, "List sessions", READS),
        _tool(tools.get_session, "Read a session", READS),
        _tool(tools.list_events, "List events", READS),
        _tool(tools.get_event, "Read an event", READS),
    ]


def _writing(client: AsyncClient) -> list[Tool]:
    tools = WritingTools(client)
    return [
        _tool(tools.create_payment_link, "Create a payment link", CREATES),
        _tool(tools.create_checkout_session, "Create a checkout session", CREATES),
        _tool(tools.cancel_session, "Cancel a session", CANCELS),
    ]


def _tool(method: Callable[..., Awaitable[Any]], title: str, hints: ToolAnnotations) -> Tool:
    """A tool whose arguments are all known: a misspelt one would be left out without a word."""
    tool = Tool.from_function(refusals_told(method), title=title, annotations=hints)
    arguments = tool.fn_metadata.arg_model
    arguments.model_config["extra"] = "forbid"
    arguments.model_rebuild(force=True)
    tool.parameters = arguments.model_json_schema(by_alias=True)
    return tool
