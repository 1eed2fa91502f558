"""The composition root: settings become a running process of one role, or of all of them.

Roles hold no state of their own: any of them may die at any point and any other process with the
same role goes on from the database.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import timedelta
from enum import StrEnum
from importlib.metadata import version

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.routing import BaseRoute

from gstable_server import flow, monitoring, worker
from gstable_server.accounts import routes as account_routes
from gstable_server.accounts.notices.operations import Postman
from gstable_server.agents import routes as agent_routes
from gstable_server.agents.model import OFFICIAL_DOMAIN
from gstable_server.agents.operations import Agency
from gstable_server.agents.verification import Verifier
from gstable_server.agents.x402 import routes as x402_routes
from gstable_server.agents.x402.operations import Till
from gstable_server.api import request_log as log_routes
from gstable_server.api.app import ApiLimits, create_app
from gstable_server.api.monitor import monitor_app
from gstable_server.catalog import routes as catalog_routes
from gstable_server.chain.checksum import address_from_text
from gstable_server.chain.http_rpc import HttpRpc, open_rpc
from gstable_server.chain.keys import address_of_key, private_key_from_hex
from gstable_server.chain.networks import Networks
from gstable_server.chain.networks_toml import load_networks
from gstable_server.chain.orders import OrderSigner
from gstable_server.chain.rails.assembly import RailSettings, rails_of
from gstable_server.chain.rails.attestation import HttpAttestationService
from gstable_server.chain.rails.escrow_terms import FillAttestor
from gstable_server.chain.rails.port import Rail
from gstable_server.chain.rpc import Rpc
from gstable_server.kernel.address import ZERO_ADDRESS
from gstable_server.kernel.email import email_problem
from gstable_server.kernel.tenant import Mode
from gstable_server.links import routes as link_routes
from gstable_server.onchain import execute, index, key_of
from gstable_server.plumbing import jobs, tracing
from gstable_server.plumbing.client_address import proxies_of
from gstable_server.plumbing.config import Settings, SettingsInvalid
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.fitness import problems_in_live_mode
from gstable_server.plumbing.health import Health
from gstable_server.plumbing.http_client import GuardedClient, HttpClient
from gstable_server.plumbing.mail import FileMail, Mail, SmtpMail
from gstable_server.plumbing.request_log import RequestLog
from gstable_server.plumbing.route import Route
from gstable_server.plumbing.system import SharedClock, SystemIdMint
from gstable_server.receipts.mailing import Mailing
from gstable_server.routing import operations as routing
from gstable_server.routing.model import Schedule
from gstable_server.sessions import routes as session_routes
from gstable_server.sessions.holds import routes as hold_routes
from gstable_server.sessions.operations import Desk
from gstable_server.sessions.refunds import routes as refund_routes
from gstable_server.web import branding, pictures
from gstable_server.web.base import Pages, check_build
from gstable_server.web.checkout import events as event_streams
from gstable_server.web.checkout import routes as checkout_routes
from gstable_server.web.checkout.live import Live, LiveLimits
from gstable_server.web.checkout.notices import Notices
from gstable_server.web.checkout.visits import Visits
from gstable_server.web.checkout.walletconnect import Relay
from gstable_server.web.dashboard import routes as dashboard_routes
from gstable_server.web.dashboard.apologies import Apologies
from gstable_server.web.dashboard.people.openid import sign_in_of
from gstable_server.web.language import ENGLISH, Languages
from gstable_server.web.receipts import routes as receipt_routes
from gstable_server.web.receipts.letter import Composer
from gstable_server.web.receipts.order import Fonts
from gstable_server.web.receipts.press import Press
from gstable_server.webhooks import routes as webhook_routes
from gstable_server.webhooks.dispatch import Pace
from gstable_server.webhooks.events import routes as event_routes

log = structlog.get_logger(__name__)

IDLE_SECONDS = 75
"""How long a connection stays open that nobody asks anything on. Longer than clients and proxies
use one again (mostly 4 to 60), because what they send on one that is being closed is lost."""
GARBAGE = 50_000, 10, 10
"""How many objects more than before are looked through for circles; every tenth time also those
that stayed once, and every tenth of these times all. Python's own first number is 700."""


class Role(StrEnum):
    """What a process does; ``all`` is for one small machine."""

    API = "api"
    WORKER = "worker"
    INDEXER = "indexer"
    EXECUTOR = "executor"
    ALL = "all"


def desk_of(settings: Settings, networks: Networks, rails: tuple[Rail, ...]) -> Desk:
    """What selling needs, from the settings."""
    key = settings.order_signing_key.get_secret_value()
    return Desk(
        networks=networks,
        signer=OrderSigner(private_key_from_hex(key)),
        fee_receiver=address_from_text(settings.fee_receiver),
        public_url=settings.public_url,
        schedule=Schedule(),
        lifetime=timedelta(seconds=settings.session_seconds),
        order_grace=timedelta(seconds=settings.order_grace_seconds),
        rails=rails,
        relays=settings.relayer_key is not None,
        sends_mail=_sends_mail(settings),
    )


def rails_from(
    settings: Settings, networks: Networks, chains: Mapping[str, Rpc], http: HttpClient
) -> tuple[Rail, ...]:
    """Every rail, with the accounts that the settings have keys for; a part of a rail's work for
    which there is none is left to others."""
    relayer, solver = key_of(settings.relayer_key), key_of(settings.solver_key)
    attestor = key_of(settings.attestor_key)
    chosen = RailSettings(
        fee_receiver=address_from_text(settings.fee_receiver),
        operator=address_of_key(relayer) if relayer else ZERO_ADDRESS,
        capture_seconds=settings.capture_seconds,
        solver=address_of_key(solver) if solver else None,
        attestor=FillAttestor(attestor) if attestor else None,
    )
    return rails_of(networks, chains, HttpAttestationService(http), chosen)


def merchant_routes(desk: Desk) -> list[list[Route]]:
    """The merchant API: the route list of every noun that has one."""
    return [
        catalog_routes.routes(desk.public_url),
        account_routes.routes(desk.networks),
        link_routes.routes(desk.networks, desk.public_url),
        session_routes.routes(desk),
        refund_routes.routes(desk),
        hold_routes.routes(desk),
        webhook_routes.routes(),
        event_routes.routes(),
        log_routes.routes(),
    ]


def api_of(
    settings: Settings,
    world: flow.World,
    live: Live,
    request_log: RequestLog | None = None,
    visits: Visits | None = None,
) -> Starlette:
    """Every door of the server, as one application."""
    db, desk = world.db, world.desk
    mode = Mode.LIVE if desk.networks.of(Mode.LIVE) else Mode.TEST
    matrix = routing.capabilities(desk.market, mode)
    pages = Pages.load()
    notices = Notices(pages)
    return create_app(
        db,
        merchant_routes(desk),
        limits=ApiLimits(
            key_rate=settings.key_rate_per_second,
            key_burst=settings.key_burst,
            address_rate=settings.address_rate_per_second,
            address_burst=settings.address_burst,
            body_bytes_max=settings.body_bytes_max,
        ),
        capabilities=lambda: matrix,
        health=Health(monitoring.checks(db, desk.networks, world.chains)),
        public_url=desk.public_url,
        agent_routes=agent_routes.routes(agency_of(settings, world)),
        agent_host=settings.ai_host,
        extra_routes=[
            *x402_routes.routes(Till(db, desk, world.chains)),
            *pages_of(
                settings,
                world,
                live=live,
                pages=pages,
                notices=notices,
                visits=visits or Visits(db),
            ),
        ],
        turn_away=notices.turn_away,
        request_log=request_log,
        apologize=Apologies(pages).page,
        proxies=proxies_of(settings),
    )


def agency_of(settings: Settings, world: flow.World) -> Agency:
    """What the AI payment protocol needs; messages may name its own host in their domain too."""
    names = dict.fromkeys((OFFICIAL_DOMAIN, settings.ai_host or OFFICIAL_DOMAIN))
    verifier = Verifier(world.chains, tuple(names))
    return Agency(world.desk, verifier, settings.agent_payer_per_minute)


def relay_of(settings: Settings, world: flow.World) -> Relay | None:
    """Where wallets of other devices are connected; None unless the operator has a project."""
    if settings.walletconnect_project_id is None:
        return None
    nodes = {name: rpc for name, rpc in world.chains.items() if isinstance(rpc, HttpRpc)}
    return Relay(settings.walletconnect_project_id, settings.walletconnect_relay_url, nodes)


def pages_of(
    settings: Settings,
    world: flow.World,
    *,
    live: Live,
    pages: Pages,
    notices: Notices,
    visits: Visits,
) -> list[BaseRoute]:
    """The doors for people: checkout, console, pictures and the files that they need."""
    db, desk, relay = world.db, world.desk, relay_of(settings, world)
    return [
        *pages.routes(),
        *pictures.routes(db),
        *branding.routes(db),
        *event_streams.routes(live, pages),
        *checkout_routes.routes(db, desk, pages, notices, visits=visits, relay=relay),
        *receipt_routes.routes(db, desk, pages, Press(Fonts(settings.cjk_font))),
        *dashboard_routes.routes(
            db,
            desk,
            pages,
            sends_mail=_sends_mail(settings),
            payout_delay=timedelta(hours=settings.payout_delay_hours),
            sign_in=sign_in_of(settings),
            news=live.news,
            chains=world.chains,
        ),
    ]


def _sends_mail(settings: Settings) -> bool:
    return settings.smtp_url is not None or settings.mail_directory is not None


def postman_of(settings: Settings) -> Postman | None:
    """How letters are sent, None without a mail server. Raises ``SettingsInvalid``."""
    if not _sends_mail(settings):
        return None
    sender = settings.mail_from or ""
    if email_problem(sender):
        raise SettingsInvalid("GSTABLE_MAIL_FROM: must be an e-mail address to send letters from")
    mail: Mail
    if settings.smtp_url is not None:
        try:
            mail = SmtpMail(settings.smtp_url.get_secret_value())
        except ValueError as problem:
            raise SettingsInvalid(f"GSTABLE_SMTP_URL: {problem}") from None
    else:
        assert settings.mail_directory is not None
        mail = FileMail(settings.mail_directory)
    languages = Languages.load_console()

    def translate(language: str, text: str) -> str:
        return languages.words(languages.lookup(language) or ENGLISH).said(text)

    return Postman(mail, sender, translate)


def mailing_of(settings: Settings, postman: Postman | None) -> Mailing | None:
    """How receipts are written and sent, None without a mail server."""
    if postman is None:
        return None
    composer = Composer(Pages.load(), settings.public_url, postman.sender)
    return Mailing(postman.mail, composer)


@asynccontextmanager
async def world_of(settings: Settings, role: Role) -> AsyncIterator[flow.World]:
    """The database, the outgoing HTTP client and the desk, closed again at the end.

    Raises ``SettingsInvalid`` for settings that are not fit for the networks' mode.
    """
    networks = load_networks(settings.networks_file)
    postman = postman_of(settings)
    if role in {Role.API, Role.ALL}:
        # Before anything is begun: what a task raises is told among the tasks that it ended.
        proxies_of(settings)
        sign_in_of(settings)
    problems = problems_in_live_mode(settings) if networks.of(Mode.LIVE) else []
    if problems:
        raise SettingsInvalid("; ".join(problems))
    async with AsyncExitStack() as stack:
        db = await Database.connect(
            settings.database_url,
            clock=SharedClock(),
            ids=SystemIdMint(),
            size=settings.database_pool,
            name=f"gstable {role}",
            # A server that starts while its database is away is alive, and ready later: ending
            # would only have it started again and again.
            at_once=False,
        )
        stack.push_async_callback(db.close)
        http = GuardedClient(allow_loopback=settings.webhook_allow_loopback)
        await stack.enter_async_context(http)
        chains = {
            network.name: await stack.enter_async_context(open_rpc(network))
            for network in networks.all
        }
        yield flow.World(
            db=db,
            desk=desk_of(settings, networks, rails_from(settings, networks, chains, http)),
            http=http,
            deliveries=Pace(
                concurrency=settings.webhook_concurrency,
                per_endpoint=settings.webhook_per_endpoint,
                timeout_seconds=settings.webhook_timeout_seconds,
            ),
            stall_after=timedelta(seconds=settings.stall_seconds),
            reconcile_after=timedelta(seconds=settings.reconcile_seconds),
            chains=chains,
            mailing=mailing_of(settings, postman) if role in {Role.WORKER, Role.ALL} else None,
            postman=postman,
        )


async def run(settings: Settings, role: Role) -> None:
    """Do one role's work until SIGINT or SIGTERM. Raises ``BrokenAssets`` for pages that are not
    those that were built, before anything is done."""
    if role in {Role.API, Role.ALL}:
        check_build()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if tracing.start(role, version("gstable-server")):
        log.info("traces are sent", role=role)
    try:
        await _run_roles(settings, role, stop)
    finally:
        await asyncio.to_thread(tracing.stop)


async def _run_roles(settings: Settings, role: Role, stop: asyncio.Event) -> None:
    _collect_seldom()
    async with world_of(settings, role) as world, asyncio.TaskGroup() as group:
        if settings.metrics_port is not None:
            group.create_task(show(settings, settings.metrics_port, world, stop))
        if role in {Role.WORKER, Role.ALL}:
            group.create_task(work(settings, world, stop))
        if role in {Role.INDEXER, Role.ALL}:
            group.create_task(index(world, stop))
        if role in {Role.EXECUTOR, Role.ALL}:
            group.create_task(execute(settings, world, stop))
        if role in {Role.API, Role.ALL}:
            group.create_task(answer(settings, world, stop))


class _Server(uvicorn.Server):
    """Leaves the signals to us: one stop for all roles of the process."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def answer(settings: Settings, world: flow.World, stop: asyncio.Event) -> None:
    """The API and the pages, until ``stop``."""
    request_log, visits = RequestLog(world.db), Visits(world.db)
    limits = LiveLimits(per_address=settings.open_pages_per_address, in_all=settings.open_pages)
    live = Live(world.db, world.desk, limits)
    config = uvicorn.Config(
        api_of(settings, world, live, request_log, visits),
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=True,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=5,
        proxy_headers=False,
    )
    # What was made up to here stays for good; without this every full collection looks at it all.
    gc.freeze()
    async with request_log.kept(), visits.kept(), asyncio.TaskGroup() as group:
        group.create_task(_close_pages(live, stop))
        await _serve(_Server(config), stop)


async def _close_pages(live: Live, stop: asyncio.Event) -> None:
    """Streams have no end of their own: without this each would hold up the end of the process."""
    await stop.wait()
    await live.close()


async def _serve(
    server: uvicorn.Server, stop: asyncio.Event, sockets: list[socket.socket] | None = None
) -> None:
    serving = asyncio.create_task(server.serve(sockets))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    stop.set()
    await serving
    await stopping


async def show(settings: Settings, port: int, world: flow.World, stop: asyncio.Event) -> None:
    """Metrics and health for operators, on a port of their own, until ``stop``."""
    networks = world.desk.networks
    health = Health(monitoring.checks(world.db, networks, world.chains))
    listening = socket.create_server((settings.metrics_host, port))
    log.info("metrics are shown", port=listening.getsockname()[1])
    config = uvicorn.Config(
        monitor_app(health, monitoring.Gauges(world.db, networks).readings),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
        proxy_headers=False,
    )
    await _serve(_Server(config), stop, [listening])


def _collect_seldom() -> None:
    """Let Python look for garbage in circles less often: a batch of facts makes so many objects
    that live for a moment that looking was a seventh of a worker's time, and found nothing."""
    # What was made up to here, mostly modules, stays for good and is not looked at again.
    gc.freeze()
    gc.set_threshold(*GARBAGE)


async def work(settings: Settings, world: flow.World, stop: asyncio.Event) -> None:
    """Events, jobs and the timetable, until ``stop``."""
    async with asyncio.TaskGroup() as group:
        group.create_task(worker.relay(world, stop))
        group.create_task(worker.deliver_messages(world, stop))
        group.create_task(worker.keep_timetable(world, stop))
        group.create_task(worker.finish_settlements(world, stop))
        group.create_task(worker.watch_deposits(world, stop))
        group.create_task(worker.reconcile(world, stop))
        group.create_task(jobs.run_worker(settings.database_url, flow.job_handlers(world), stop))
