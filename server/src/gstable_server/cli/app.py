"""The verbs of the ``gstable`` command. What takes long to import is imported by its verb."""

from __future__ import annotations

import os
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer

from gstable_server.cli import unmatched
from gstable_server.cli.merchant import verbs

R = TypeVar("R")

app = typer.Typer(
    add_completion=True,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Stablecoin payments on your own machine.",
)

doctor = typer.Typer(no_args_is_help=True, help="Look at what a server is configured with.")
app.add_typer(doctor, name="doctor")
ledger = typer.Typer(no_args_is_help=True, help="Look at the book as it stands in the database.")
app.add_typer(ledger, name="ledger")
audit = typer.Typer(no_args_is_help=True, help="Look at the log of what people did.")
app.add_typer(audit, name="audit")
secrets = typer.Typer(no_args_is_help=True, help="Look after what is sealed in the database.")
app.add_typer(secrets, name="secrets")
app.add_typer(unmatched.app, name="unmatched")
verbs.mount(app)


def main() -> None:
    """Run the command line. What the user can act on is one line on standard error."""
    app()


def _complain(text: object) -> NoReturn:
    print(f"gstable: {text}", file=sys.stderr)
    raise typer.Exit(1)


@app.command()
def serve(
    role: Annotated[str, typer.Option(help="api, worker, indexer, executor or all")] = "all",
) -> None:
    """Run one role of the server, or all of them, with the settings of the environment."""
    import uvloop

    from gstable_server import serve as composition
    from gstable_server.chain.configuration import ConfigurationError
    from gstable_server.plumbing.config import SettingsInvalid, load_settings
    from gstable_server.plumbing.log import configure_logging
    from gstable_server.web.base import BrokenAssets

    try:
        settings = load_settings()
        configure_logging(settings.log_level)
        uvloop.run(composition.run(settings, composition.Role(role)))
    except (BrokenAssets, ConfigurationError, SettingsInvalid, ValueError) as failure:
        _complain(failure)


@app.command()
def migrate() -> None:
    """Bring the database of DATABASE_URL to the newest revision."""
    from gstable_server import migrations

    url = _database_url()
    with _at_database():
        migrations.upgrade(url)


@app.command()
def dev(
    port: Annotated[int, typer.Option(help="where to listen; 0 takes any free port")] = 8000,
    state: Annotated[
        Path | None, typer.Option(help="keep database and chains in this directory")
    ] = None,
    robot: Annotated[
        bool, typer.Option(help="whether a robot pays sessions with a magic total")
    ] = True,
    json: Annotated[bool, typer.Option("--json", help="the first line is one object")] = False,
) -> None:
    """Database, local chains, API, pages and workers with a demo merchant, until interrupted."""
    from gstable_server.cli import dev as command

    _run(command.run(port, state, robot=robot, as_json=json))


@app.command()
def demo(
    json: Annotated[bool, typer.Option("--json", help="the last line is one object")] = False,
) -> None:
    """Pay a link and a checkout session on local chains, verify every step, and stop."""
    from gstable_server.cli import demo as command

    _run(command.run(as_json=json))


@app.command()
def mcp(
    http: Annotated[
        int | None,
        typer.Option(help="a port of this machine instead of stdio; 0 takes any free one"),
    ] = None,
) -> None:
    """Give a language model's host the merchant's tools (MCP), with the key of GSTABLE_API_KEY."""
    import asyncio

    from gstable import GStableUsageError
    from gstable_server.cli import mcp as command

    try:
        asyncio.run(command.run(http))
    except (command.McpFailed, GStableUsageError) as failure:
        _complain(failure)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


@app.command()
def robot(
    cursor_file: Annotated[
        Path | None, typer.Option(help="where to keep how far the events were read")
    ] = None,
) -> None:
    """Pay test sessions with a magic total, as docs/guide/test-mode.md says, until interrupted."""
    from gstable_server.cli.robot import watching as command

    _run(command.run(os.environ, cursor_file))


@app.command()
def openapi(
    file: Annotated[Path, typer.Argument(help="the committed document")] = Path("openapi.json"),
    check: Annotated[bool, typer.Option("--check", help="change nothing, only compare")] = False,
) -> None:
    """Write the OpenAPI document of the merchant API, or check that it is up to date."""
    from gstable_server.cli import openapi as command

    if not check:
        command.write(file)
    elif not command.is_current(file):
        _complain(f"{file} is out of date: run `gstable openapi {file}` and review the difference")


@app.command()
def routes(
    networks_file: Annotated[
        Path | None, typer.Option(help="instead of GSTABLE_NETWORKS_FILE")
    ] = None,
) -> None:
    """Print what can pay for what, by which rail, at what fee and how, as a table of Markdown."""
    from gstable_server.chain.configuration import ConfigurationError
    from gstable_server.cli import routes as command

    try:
        command.show(networks_file)
    except ConfigurationError as failure:
        _complain(failure)


@doctor.command()
def network(
    name: Annotated[str, typer.Argument(help="of networks.toml")],
    networks_file: Annotated[
        Path | None, typer.Option(help="instead of GSTABLE_NETWORKS_FILE")
    ] = None,
    holder: Annotated[
        list[str] | None, typer.Option(help="token id=address of an account that has some")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="one object instead of a table")] = False,
) -> None:
    """Probe a network: its nodes, contracts and tokens; exit code 1 when something failed."""
    from gstable_server.cli import doctor as command

    if not _run(command.network(name, networks_file, holder or [], as_json=json)):
        raise typer.Exit(1)


@ledger.command()
def verify(
    head: Annotated[
        str | None, typer.Option(help="NUMBER:HASH that an earlier run printed and you kept")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="one object instead of a table")] = False,
) -> None:
    """Compare the book with its hash chain; exit code 1 when a row was tampered with."""
    from gstable_server.cli import ledger as command
    from gstable_server.ledger.seals import seal_from_text

    try:
        kept = seal_from_text(head) if head else None
    except ValueError as failure:
        raise typer.BadParameter(str(failure), param_hint="--head") from None
    url = _database_url()
    with _at_database():
        is_whole = _run(command.verify(url, kept, as_json=json))
    if not is_whole:
        raise typer.Exit(1)


@secrets.command("reseal")
def reseal_secrets() -> None:
    """Seal what stands in the database with the newest key of GSTABLE_SECRETS_KEY; exit code 1 when
    something cannot be opened with any of them."""
    from gstable_server.cli import secrets as command

    with _at_database():
        is_whole = _run(command.reseal())
    if not is_whole:
        raise typer.Exit(1)


@audit.command("verify")
def verify_audit(
    head: Annotated[
        str | None, typer.Option(help="NUMBER:HASH that an earlier run printed and you kept")
    ] = None,
) -> None:
    """Compare the audit log with its hash chain; exit code 1 when an entry was tampered with."""
    from gstable_server.accounts.audit.model import head_from_text
    from gstable_server.cli import audit as command

    try:
        kept = head_from_text(head) if head else None
    except ValueError as failure:
        raise typer.BadParameter(str(failure), param_hint="--head") from None
    url = _database_url()
    with _at_database():
        is_whole = _run(command.verify(url, kept))
    if not is_whole:
        raise typer.Exit(1)


@app.command()
def reconcile(
    networks_file: Annotated[
        Path | None, typer.Option(help="instead of GSTABLE_NETWORKS_FILE")
    ] = None,
    anew: Annotated[
        bool, typer.Option("--anew", help="read every block again, also what was final before")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="one object instead of tables")] = False,
) -> None:
    """Compare the book with the networks; exit code 1 when they differ, 2 if one was not read."""
    from gstable_server.cli import reconcile as command

    url = _database_url()
    with _at_database():
        outcome = _run(command.run(url, networks_file, anew=anew, as_json=json))
    raise typer.Exit(command.exit_code(outcome))


def _database_url() -> str:
    """The setting that needs no others. What is missing is one line on standard error."""
    url = os.environ.get("DATABASE_URL")
    if not url:
        _complain("set DATABASE_URL to the address of a PostgreSQL database")
    return url


@contextmanager
def _at_database() -> Iterator[None]:
    """What a database that is away or refuses says is one line. It is no finding: exit code 2."""
    from gstable_server.plumbing.db import DATABASE_FAILED

    try:
        yield
    except DATABASE_FAILED as failure:
        print(f"gstable: database: {failure or type(failure).__name__}", file=sys.stderr)
        raise typer.Exit(2) from None


def _run(coroutine: Coroutine[Any, Any, R]) -> R:
    import asyncio

    from gstable_server.chain.configuration import ConfigurationError
    from gstable_server.chain.devnet import DevnetFailed
    from gstable_server.cli.console_visit import ConsoleFailed
    from gstable_server.cli.robot.stage import RobotFailed
    from gstable_server.cli.stack import StackFailed
    from gstable_server.plumbing.embedded_postgres import DatabaseFailed

    try:
        return asyncio.run(coroutine)
    except (
        ConfigurationError, ConsoleFailed, DatabaseFailed, DevnetFailed, RobotFailed, StackFailed
    ) as failure:  # fmt: skip
        _complain(failure)
