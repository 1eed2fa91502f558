"""The merchant's verbs as they are typed. What takes long to import is imported by its verb."""

from __future__ import annotations

import re
from collections.abc import Coroutine, Iterator
from fnmatch import fnmatchcase
from typing import Annotated, Any, NoReturn

import typer

from gstable_server.webhooks.model import EVENT_TYPES

PANEL = "Your shop, with the key of GSTABLE_API_KEY"
INTERRUPTED = 130
SIGNED_WITH = "GSTABLE_LISTEN_SECRET"
"""What is typed is seen by everybody on the machine, and kept by the shell."""
OTHER_EVENTS = ("webhook.test", "webhook.paused", "webhook.disabled")
"""What is told without being subscribed to."""
_AGO = re.compile(r"([1-9][0-9]{0,5})([smhd])")
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

AsJson = Annotated[bool, typer.Option("--json", help="objects for programs, one a line")]
PageNumber = Annotated[int, typer.Option("--page", min=1, help="counts from 1, newest first")]
PageSize = Annotated[int, typer.Option("--size", min=1, max=100, help="rows of a page")]
Everything = Annotated[bool, typer.Option("--all", help="every page")]
Last = Annotated[int, typer.Option("--last", "-n", min=0, max=100, help="how many to begin with")]


def _event_names(incomplete: str) -> Iterator[str]:
    """For the shell: the last of the names that commas separate."""
    before, comma, last = incomplete.rpartition(",")
    return (f"{before}{comma}{name}" for name in EVENT_TYPES if name.startswith(last))


EventNames = Annotated[
    str,
    typer.Option(
        "--events",
        help="only these, such as session.paid,product.*",
        autocompletion=_event_names,
    ),
]


def mount(app: typer.Typer) -> None:
    """Add the merchant's verbs to the command."""
    for name, noun in (
        ("products", "the catalogue"),
        ("links", "payment links"),
        ("sessions", "checkout sessions"),
        ("webhooks", "webhook endpoints"),
        ("accounts", "receiving accounts"),
    ):
        app.add_typer(_family(name, noun), name=name, rich_help_panel=PANEL)
    app.add_typer(events, name="events", rich_help_panel=PANEL)
    app.add_typer(logs, name="logs", rich_help_panel=PANEL)
    for verb in (listen, trigger, pay):
        app.command(rich_help_panel=PANEL)(verb)


def _family(name: str, noun: str) -> typer.Typer:
    family = typer.Typer(no_args_is_help=True, help=f"Look at {noun}.")

    def show_list(
        page: PageNumber = 1, size: PageSize = 20, everything: Everything = False,
        as_json: AsJson = False,
    ) -> None:  # fmt: skip
        from gstable_server.cli.merchant import listing as command

        _do(command.show_list(name, page, size, everything=everything, as_json=as_json))

    def show_list_in(
        page: PageNumber = 1, size: PageSize = 20, everything: Everything = False,
        status: Annotated[str, typer.Option(help="such as completed", autocompletion=_statuses)]
        = "", as_json: AsJson = False,
    ) -> None:  # fmt: skip
        from gstable_server.cli.merchant import listing as command

        if status and status not in command.SESSION_STATUSES:
            _misused(f"--status is one of {', '.join(command.SESSION_STATUSES)}")
        which = f"{name} {status}".strip()
        _do(command.show_list(which, page, size, everything=everything, as_json=as_json))

    def show(object_id: Annotated[str, typer.Argument(metavar="ID")], as_json: AsJson = False
    ) -> None:  # fmt: skip
        from gstable_server.cli.merchant import listing as command

        _do(command.show_one(name, object_id, as_json=as_json))

    lists = show_list_in if name == "sessions" else show_list
    family.command("list", help=f"A page of {noun}, newest first.")(lists)
    family.command("show", help="Everything about one of them.")(show)
    return family


def _statuses(incomplete: str) -> Iterator[str]:
    from gstable_server.cli.merchant import listing as command

    return (status for status in command.SESSION_STATUSES if status.startswith(incomplete))


# --- events and requests --------------------------------------------------------------------------

events = typer.Typer(no_args_is_help=True, help="Look at events, follow them, deliver them again.")
logs = typer.Typer(no_args_is_help=True, help="Look at the requests of the merchant's API keys.")


@events.command("list")
def events_list(
    page: PageNumber = 1,
    size: PageSize = 20,
    everything: Everything = False,
    as_json: AsJson = False,
) -> None:
    """A page of events, newest first."""
    from gstable_server.cli.merchant import events as command

    _do(command.show_list(page, size, everything=everything, as_json=as_json))


@events.command("show")
def events_show(
    event_id: Annotated[str, typer.Argument(metavar="ID")], as_json: AsJson = False
) -> None:
    """One event: its payload, and every attempt to deliver it."""
    from gstable_server.cli.merchant import events as command

    _do(command.show_one(event_id, as_json=as_json))


@events.command("tail")
def events_tail(last: Last = 10, names: EventNames = "", as_json: AsJson = False) -> None:
    """The last events, then each that happens, until Ctrl-C."""
    from gstable_server.cli.merchant import events as command

    _do(command.tail(_patterns(names), last, as_json=as_json), endless=True)


@events.command("resend")
def events_resend(
    event_id: Annotated[str, typer.Argument(metavar="ID")],
    webhook: Annotated[
        str | None, typer.Option(help="only to this endpoint, also if it does not subscribe")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Deliver an event again, under the same id."""
    from gstable_server.cli.merchant import events as command

    _do(command.resend(event_id, webhook, as_json=as_json))


@events.command("resend-range")
def events_resend_range(
    webhook: Annotated[str, typer.Argument(metavar="WEBHOOK", help="the endpoint's id")],
    since: Annotated[str, typer.Option(help="2h ago as 2h, Unix seconds, or an ISO time in UTC")],
    until: Annotated[str, typer.Option(help="likewise, not included")] = "0s",
    as_json: AsJson = False,
) -> None:
    """Tell one endpoint again what happened in some time, at a pace that it can bear."""
    from gstable_server.cli.merchant import events as command

    span = _instant("--since", since), _instant("--until", until)
    _do(command.resend_range(webhook, *span, as_json=as_json))


@logs.command("tail")
def logs_tail(
    last: Annotated[int, typer.Option("--last", "-n", min=1, max=100, help="how many")] = 20,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="go on with each request, until Ctrl-C")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """The last requests with keys of the merchant's, without bodies; kept for 7 days."""
    from gstable_server.cli.merchant import logs as command

    _do(command.tail(last, on_and_on=follow, as_json=as_json), endless=follow)


# --- verbs ----------------------------------------------------------------------------------------


def listen(
    forward_to: Annotated[str, typer.Option(metavar="URL", help="your server's webhook address")],
    names: EventNames = "",
    secret: Annotated[
        str | None,
        typer.Option(envvar=SIGNED_WITH, help="sign with this wkk_… key, not with a new one"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Forward events as they happen to a server of yours that has no public address."""
    if not forward_to.startswith(("http://", "https://")):
        _misused("--forward-to is an address such as http://127.0.0.1:3000/webhooks")
    if secret is not None and not re.fullmatch(r"wkk_[!-~]{1,200}", secret):
        _misused("--secret begins with wkk_")
    patterns = _patterns(names)
    from gstable_server.cli.merchant import listening as command

    _do(command.listen(forward_to, patterns, secret, as_json=as_json), endless=True)


def trigger(
    event: Annotated[
        str, typer.Argument(help="such as session.underpaid", autocompletion=_event_names)
    ],
    as_json: AsJson = False,
) -> None:
    """Make an event happen for real: a session, a payment, a reorganisation, on local chains."""
    from gstable_server.cli.merchant import triggering as command

    _do(command.run(event, as_json=as_json))


def pay(
    target: Annotated[str, typer.Argument(metavar="LINK_OR_SESSION", help="address or id")],
    token: Annotated[
        str | None, typer.Option(help="such as base::usdc; what the wallet has, unless given")
    ] = None,
    way: Annotated[
        str, typer.Option(help="approve, erc3009, permit2, permit, deposit")
    ] = "approve",
    amount: Annotated[
        str | None, typer.Option(help="in USD, for a link whose price the payer chooses")
    ] = None,
    email: Annotated[str | None, typer.Option(help="the payer's, where it is asked for")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask before signing")] = False,
    as_json: AsJson = False,
) -> None:
    """Pay on a test network with the wallet whose key is in GSTABLE_PAYER_KEY."""
    if as_json and not yes:
        _misused("--json asks nothing, so it needs --yes")
    from gstable_server.routing.model import Way

    if way not in set(Way):
        _misused(f"--way is one of {', '.join(Way)}")
    from gstable_server.cli.merchant import paying as command

    order = command.Order(target, token, Way(way), amount, email)
    _do(command.pay(order, ask=not yes, as_json=as_json))


# --- what they share ------------------------------------------------------------------------------


def _do(work: Coroutine[Any, Any, None], *, endless: bool = False) -> None:
    """Run a verb. Its trouble is one line and exit code 1; Ctrl-C is how an endless one ends."""
    import asyncio

    from gstable import GStableError
    from gstable_server.cli.merchant.connection import MerchantFailed, in_words
    from gstable_server.cli.merchant.output import tell

    try:
        asyncio.run(work)
    except (GStableError, MerchantFailed) as failure:
        tell(in_words(failure))
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(0 if endless else INTERRUPTED) from None


def _misused(text: str) -> NoReturn:
    raise typer.BadParameter(text)


def _patterns(names: str) -> tuple[str, ...]:
    patterns = tuple(name.strip() for name in names.split(",") if name.strip())
    known = (*EVENT_TYPES, *OTHER_EVENTS)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in known):
            _misused(f"there is no event {pattern}")
    return patterns


def _instant(option: str, text: str) -> int:
    """Unix seconds of a time that a person typed."""
    import time
    from datetime import UTC, datetime

    if ago := (re.fullmatch(r"(0)(s)", text) or _AGO.fullmatch(text)):
        return int(time.time()) - int(ago[1]) * _UNIT_SECONDS[ago[2]]
    if text.isascii() and text.isdigit() and len(text) <= 12:
        return int(text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        _misused(f"{option} is a time such as 2h, 1790000000 or 2026-01-31T12:00:00")
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())
