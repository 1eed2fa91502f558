"""The MCP server of one merchant: which tools there are, and what hosts are told of them."""

from __future__ import annotations

from mcp.server.mcpserver import MCPServer
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
    server: MCPServer[None] = MCPServer(
        "gstable",
        title="GStable",
        instructions=INSTRUCTIONS,
        version=__version__,
        # Whatever the API refuses is answered; only what is broken is worth a line.
        log_level="WARNING",
    )
    reading = ReadingTools(client)
    for tool, title in (
        (reading.list_accounts, "List receiving accounts"),
        (reading.list_products, "List products"),
        (reading.list_payment_links, "List payment links"),
        (reading.get_payment_link, "Read a payment link"),
        (reading.list_sessions, "List sessions"),
        (reading.get_session, "Read a session"),
        (reading.list_events, "List events"),
        (reading.get_event, "Read an event"),
    ):
        server.add_tool(refusals_told(tool), title=title, annotations=READS)
    if writes:
        writing = WritingTools(client)
        for make, title in (
            (writing.create_payment_link, "Create a payment link"),
            (writing.create_checkout_session, "Create a checkout session"),
        ):
            server.add_tool(refusals_told(make), title=title, annotations=CREATES)
        server.add_tool(
            refusals_told(writing.cancel_session), title="Cancel a session", annotations=CANCELS
        )
    return server
