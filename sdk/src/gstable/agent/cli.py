"""`gstable-agent`: read a link, see what paying it would do, and pay it, from a terminal.

The key, and what else should not be in a shell's history, comes from the environment.
"""

import json
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from re import fullmatch

from gstable._errors import GStableError, GStableUsageError
from gstable.agent import AgentClient, FileSpendStore, PaymentPending, SpendLimits
from gstable.agent._limits import MICRO_USD_DECIMALS, usd
from gstable.agent._models import AgentLink, PaidReceipt, Plan
from gstable.agent._sync.client import DEFAULT_BASE_URL, DEFAULT_PATIENCE_SECONDS

ENVIRONMENT = """\
environment:
  GSTABLE_AGENT_KEY      the wallet's private key: for plan, pay and pay-session
  GSTABLE_AGENT_RPC      nodes that you trust, such as "137=https://… 8453=https://…"
  GSTABLE_AGENT_URL      the platform's AI payment protocol, with its path
"""
# Of a wallet that is nobody's: whoever only reads a link has no use for a key.
NO_KEY = "00" * 31 + "01"


def main(arguments: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """Run one command; the exit code. Trouble is one line on standard error."""
    given = _parser().parse_args(arguments)
    try:
        with _client(given, environ) as agent:
            found = _run(agent, given)
    except PaymentPending as pending:
        return _complain(f"{pending.message}; go on with: pay-session {pending.session_id}")
    except GStableError as error:
        return _complain(str(error))
    shown = json.dumps(asdict(found)) if given.json else _words(found)
    sys.stdout.write(f"{shown}\n")
    return 0


def _parser() -> ArgumentParser:
    from argparse import RawDescriptionHelpFormatter

    parser = ArgumentParser(
        "gstable-agent",
        description="Pay GStable links from a wallet of your own, within limits.",
        epilog=ENVIRONMENT,
        formatter_class=RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, words, target in (
        ("get-link", "show what a link sells and which tokens pay for it", "link_id"),
        ("plan", "show what pay would do, and sign nothing", "link_id"),
        ("pay", "pay a link once, and wait until it is completed", "link_id"),
        ("pay-session", "pay a session, or go on with one that pay has begun", "session_id"),
    ):
        command = commands.add_parser(name, help=words, description=words)
        command.add_argument(target)
        command.add_argument("--json", action="store_true", help="one object on standard output")
        if name != "get-link":
            _add_paying(command, name)
    return parser


def _add_paying(command: ArgumentParser, name: str) -> None:
    command.add_argument(
        "--chain", type=int, required=name != "pay-session", help="chain id to pay on"
    )
    command.add_argument("--token", help="address or symbol; the first one unless given")
    command.add_argument("--per-payment", required=True, metavar="USD", help="such as 5 or 2.50")
    command.add_argument("--per-day", required=True, metavar="USD", help="in any 24 hours")
    command.add_argument(
        "--merchant", action="append", metavar="ID", help="who may be paid; repeat it for several"
    )
    command.add_argument(
        "--record",
        type=Path,
        default=Path.home() / ".gstable-agent" / "spent.json",
        help="file that remembers what was spent",
    )
    if name != "pay-session":
        command.add_argument("--amount", type=int, help="smallest units, where the link is open")
    if name != "plan":
        command.add_argument("--email", default="", help="where the merchant asks for one")
        command.add_argument("--patience", type=int, default=DEFAULT_PATIENCE_SECONDS)


def _client(given: Namespace, environ: Mapping[str, str]) -> AgentClient:
    base_url = environ.get("GSTABLE_AGENT_URL") or DEFAULT_BASE_URL
    if given.command == "get-link":
        return AgentClient(NO_KEY, {}, SpendLimits(per_payment=0, per_day=0), base_url=base_url)
    key = environ.get("GSTABLE_AGENT_KEY")
    if not key:
        raise GStableUsageError("set GSTABLE_AGENT_KEY to the wallet's private key")
    limits = SpendLimits(
        per_payment=_micro_usd(given.per_payment, "--per-payment"),
        per_day=_micro_usd(given.per_day, "--per-day"),
        merchants=given.merchant,
        store=FileSpendStore(given.record),
    )
    nodes = _nodes(environ.get("GSTABLE_AGENT_RPC", ""))
    patience = getattr(given, "patience", DEFAULT_PATIENCE_SECONDS)
    return AgentClient(key, nodes, limits, base_url=base_url, patience_seconds=patience)


def _run(agent: AgentClient, given: Namespace) -> AgentLink | Plan | PaidReceipt:
    match given.command:
        case "get-link":
            return agent.get_link(given.link_id)
        case "plan":
            return agent.plan(given.link_id, given.chain, given.token, amount_in_token=given.amount)
        case "pay":
            return agent.pay(
                given.link_id,
                given.chain,
                given.token,
                amount_in_token=given.amount,
                payer_email=given.email,
            )
        case _:
            return agent.pay_session(
                given.session_id, given.chain, given.token, payer_email=given.email
            )


def _words(found: AgentLink | Plan | PaidReceipt) -> str:
    if isinstance(found, AgentLink):
        ways = [
            f"  chain {token.chain_id} {token.symbol}: {token.amount_in_usd} USD, "
            f"{token.amount_in_token} smallest units"
            for token in found.tokens
        ]
        return "\n".join([f"{found.link_name!r} of merchant {found.merchant_id}", *ways])
    if isinstance(found, Plan):
        return str(found)
    amount = "" if found.amount is None else f" {usd(found.amount)} USD"
    return f"Paid{amount}: session {found.session_id}, transaction {found.tx_hash}"


def _nodes(text: str) -> dict[int, str]:
    nodes = {}
    for entry in text.split():
        chain_id, _, url = entry.partition("=")
        if not chain_id.isdigit() or not url:
            raise GStableUsageError('GSTABLE_AGENT_RPC must be like "137=https://…"')
        nodes[int(chain_id)] = url
    return nodes


def _micro_usd(text: str, option: str) -> int:
    if not fullmatch(r"\d{1,9}(\.\d{1,6})?", text):
        raise GStableUsageError(f"{option} must be USD such as 5 or 2.50")
    whole, _, fraction = text.partition(".")
    return int(whole + fraction.ljust(MICRO_USD_DECIMALS, "0"))


def _complain(text: str) -> int:
    sys.stderr.write(f"gstable-agent: {text}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
