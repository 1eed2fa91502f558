"""The list of bad inputs and faults, groups API, AUT, CHK, CHN, CON, DSH, OPS and WHK: each case
has a test with its id in its name, or a reason why there is nothing to test yet. Tests of contracts
are functions of forge.
"""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parent.parent
NAME = re.compile(r"^\s*(?:async )?def test_(\w+)", re.MULTILINE)
FORGE_TESTS = TESTS.parent / "contracts" / "test"
FORGE_NAME = re.compile(r"^\s*function (?:test|invariant|check)_(\w+)", re.MULTILINE)
CASE = re.compile(r"(?:^|_)(api|aut|chk|chn|con|dsh|whk|ops)_(\d\d)(?=_|$)")

CLAIMED = {
    "API-01": "amounts of zero and below",
    "API-02": "amounts that are no integers",
    "API-04": "amounts beyond every limit",
    "API-05": "the limits of a route, to the unit",
    "API-06": "tokens that are not settled in",
    "API-07": "networks of the other mode; no body names a chain id",
    "API-09": "duplicate JSON keys",
    "API-10": "unknown fields and mass assignment",
    "API-11": "hostile bodies",
    "API-12": "text that cannot be stored, and text that only looks odd",
    "API-14": "expiry",
    "API-15": "success URLs and the redirect",
    "API-16": "one idempotency key at once",
    "API-17": "one idempotency key for different requests",
    "API-19": "unusable idempotency keys",
    "API-20": "failures are not kept under a key",
    "API-22": "every edge that a session does not have",
    "API-24": "refunds of too much, at once, and of money that is not final; none names a network",
    "API-25": "pages",
    "API-26": "text that is meant as SQL",
    "API-27": "smuggling and odd paths",
    "API-29": "a session keeps its snapshot",
    "API-30": "lines, quantities and totals",
    "API-31": "fees round up, and add up",
    "API-32": "rate limits",
    "API-34": "clocks that move",
    "AUT-01": "no key, or not exactly one",
    "AUT-02": "keys of another merchant, mode or right",
    "AUT-04": "revoked keys",
    "AUT-05": "changed, late and early signatures of letters; requests carry no signature",
    "AUT-06": "several signatures, other schemes",
    "AUT-07": "codes of an authenticator app: needed, good once, and not to be guessed",
    "AUT-09": "forms of other sites",
    "AUT-10": "sign-in answers alike whatever was wrong; links that set a password anew",
    "AUT-11": "the first owner",
    "AUT-12": "an account's address never changes, and sessions keep the one they began with",
    "AUT-14": "only listed paths exist",
    "AUT-15": "a wallet shows whose it is: nobody signs in with one, but accounts are proven so",
    "AUT-16": "tokens of another make; ID tokens that are unsigned, swapped, over or not for us",
    "CHK-01": "names, texts, pictures and a wallet's own icon are inert",
    "CHK-02": "frames of sites that the merchant did not list, and scripts of theirs",
    "CHK-04": "files changed before the start, after it, and on the way to the browser",
    "CHK-05": "every member of an answer, and of what the page itself says, is changed in turn",
    "CHK-06": "other chains, accounts, terms, tabs and double clicks; two wallets at once",
    "CHK-07": "invented, dropped, reverted and replaced transactions, and payments made elsewhere",
    "CHK-09": "too little money, allowances that must be reset, and all else that would fail",
    "CHK-10": "a clock that is days off, expiry, and what is signed or sent after it",
    "CHK-11": "look-alikes and transfers of nothing match nothing, and no page names them",
    "CHK-12": "without JavaScript; what screens and readers see is measured beside the pages",
    "CHK-14": "a wallet's own network shows money that is not there",
    "CHK-15": "receipts by e-mail",
    "CHN-01": "look-alikes of our contracts and tokens",
    "CHN-02": "other routers, and rails that nobody configured",
    "CHN-04": "logs of failed transactions",
    "CHN-05": "several payments in one transaction, and one log again and again",
    "CHN-06": "amounts that are not the one asked for",
    "CHN-07": "late, second and superfluous money",
    "CHN-09": "tokens that take fees, are paused or list us are refused; what arrived counts",
    "CHN-10": "tokens with other decimals than configured",
    "CHN-11": "logs left out, all or some, with and without receipts",
    "CHN-12": "nodes that lag behind",
    "CHN-14": "providers that disagree",
    "CHN-15": "answers that are none",
    "CHN-16": "reorganisations of every depth and fate",
    "CHN-17": "reorganisations while money crosses or goes back",
    "CHN-19": "gaps, whatever ranges the node allows",
    "CHN-20": "a block that cannot be handled",
    "CHN-21": "odd times of blocks",
    "CHN-22": "spam, and logs of others by the thousand",
    "CHN-24": "chains, contracts and code that are not the configured ones",
    "CHN-25": "finality tags that tell nothing",
    "CHN-26": "deliveries read before their payments",
    "CHN-27": "hours of blocks at once; transactions that nobody sent",
    "CON-01": "odd tokens at every entry point",
    "CON-02": "reentrancy",
    "CON-04": "signatures for anything else",
    "CON-05": "other forms of a signature",
    "CON-06": "contract wallets that misbehave",
    "CON-07": "one owner's signature for two accounts",
    "CON-09": "authorizations taken to the token itself",
    "CON-10": "nonces and witness of Permit2",
    "CON-11": "fees, to the unit",
    "CON-12": "amounts at both ends",
    "CON-14": "tokens without code",
    "CON-15": "tokens and coins sent by accident",
    "CON-16": "stolen keys",
    "CON-17": "a changed chain id",
    "CON-20": "events tell what was received",
    "DSH-01": "what merchants and payers typed is inert",
    "DSH-02": "every role at every place of the dashboard",
    "DSH-04": "a stolen login, wallets that are added, and large refunds, which two people approve",
    "DSH-05": "lists and searches read a page's worth; exports stream, and end with their reader",
    "DSH-06": "two people who change one webhook, one product or the settings",
    "DSH-07": "totals and exports equal the book to the unit at one snapshot",
    "DSH-09": "money that is not final stands in a column of its own, and is never summed",
    "OPS-01": "processes killed between pay and webhook",
    "OPS-02": "a database that is lost, read-only, full, deadlocked, or without a free connection",
    "OPS-04": "forged log lines, and a log without room",
    "OPS-05": "migrations that break off; there is no version before this one yet to run beside it",
    "OPS-06": "a restore from an old backup",
    "OPS-07": "two of every role, one of them frozen or killed",
    "OPS-09": "an executor that dies around a send",
    "OPS-10": "keys rotated under traffic; letters of both keys are WHK-15",
    "OPS-11": "locks with hashes",
    "OPS-12": "settings that are not fit for real money",
    "OPS-14": "health and metrics without database or nodes",
    "OPS-15": "memory that does not grow with what was answered",
    "WHK-01": "inward addresses, at registration and at connect",
    "WHK-02": "names that resolve inward",
    "WHK-04": "redirects are not followed",
    "WHK-05": "URLs of other schemes, ports and forms",
    "WHK-06": "receivers that hang, drip, flood, break off or speak no HTTP",
    "WHK-07": "which answers are success, and Retry-After",
    "WHK-09": "lasting failure pauses an endpoint",
    "WHK-10": "workers that die around a send",
    "WHK-11": "what is rolled back is not told",
    "WHK-12": "one send of a message at a time",
    "WHK-14": "endpoints disabled, removed and changed with letters under way",
    "WHK-15": "keys changed between tries",
    "WHK-16": "the bytes that are signed are the bytes that are sent",
    "WHK-17": "endpoints that hang, and backlogs, keep no others waiting",
    "WHK-19": "ranges of many, twice, and of another merchant",
    "WHK-20": "letters replayed later",
    "WHK-21": "no secret in an attempt",
    "WHK-22": "headers injected",
}

NOT_YET = {
    "API-21": "no field asks for a unique order: metadata is free, idempotency keys do the rest",
    "CON-19": "there is no call that pays several orders",
    "OPS-16": "no price is fed in: a stablecoin counts as its dollar, a swap by its own pool",
    "OPS-17": "there is no list of blocked payers; what is paid is in the merchant's wallet",
}


def named() -> set[str]:
    """The cases that occur in the names of tests."""
    names = [name for file in TESTS.rglob("test_*.py") for name in NAME.findall(file.read_text())]
    for file in FORGE_TESTS.rglob("*.t.sol"):
        names += FORGE_NAME.findall(file.read_text())
    return {f"{group.upper()}-{number}" for name in names for group, number in CASE.findall(name)}


def test_every_claimed_case_has_its_test() -> None:
    assert sorted(set(CLAIMED) - named()) == []


def test_every_case_in_a_name_is_in_the_table() -> None:
    """A test for a case that is not claimed is a slip, or a reason that is out of date."""
    assert sorted(named() - set(CLAIMED)) == []


def test_no_case_is_both_claimed_and_put_off() -> None:
    assert set(CLAIMED).isdisjoint(NOT_YET)
