"""What the payer's pages show, computed from links and sessions; no input, output or clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from gstable_server.accounts.branding.model import Branding
from gstable_server.catalog.model import LineItem
from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.networks import Network, Networks, Token
from gstable_server.kernel.address import Address
from gstable_server.kernel.money import MicroUsd, share_rounded_up
from gstable_server.kernel.tenant import Mode
from gstable_server.kernel.urls import is_loopback
from gstable_server.routing.model import FeeModel, RouteOption, Way
from gstable_server.sessions.model import BusinessType, Session, SessionView
from gstable_server.web.checkout.status import Status
from gstable_server.web.language import N_, Words

UNTITLED = N_("Product")


@dataclass(frozen=True, slots=True)
class LineView:
    """One line of the order; prices in Micro-USD, None where the payer decides."""

    name: str
    description: str | None
    image: str | None
    attributes: tuple[tuple[str, str], ...]
    quantity: int
    unit_price: MicroUsd | None
    total: MicroUsd | None


def line_view(item: LineItem, words: Words) -> LineView:
    """``image`` only for pictures that this server hosts: the page may load no other."""
    shown = item.product
    price = MicroUsd(item.unit_price) if item.unit_price else None
    image = shown.image_url if shown else None
    return LineView(
        name=shown.name if shown else words.gettext(UNTITLED),
        description=shown.description if shown else None,
        image=image if image and image.startswith("/images/") else None,
        attributes=tuple((one.name, one.value) for one in shown.attributes) if shown else (),
        quantity=item.quantity,
        unit_price=price,
        total=None if price is None else MicroUsd(price * item.quantity),
    )


@dataclass(frozen=True, slots=True)
class OptionView:
    """A token to pay with: what it costs, in words and in atomic units, the way that is the least
    work, what a wallet must be asked for its balance, and the name and version that its signatures
    are for (EIP-712; empty where it takes none)."""

    token_id: str
    symbol: str
    payer_pays: str
    atomic: int
    fee: str
    needs_no_gas: bool
    way: str
    token_address: str
    decimals: int
    signing_name: str
    signing_version: str


@dataclass(frozen=True, slots=True)
class NetworkView:
    """The tokens to pay with on one network, the cheapest first, and what the page's script holds
    a prepared payment against: our contract there, who else may be allowed the tokens (empty where
    there is none), and what a wallet has to know to add the network."""

    title: str
    chain_id: int
    router: str
    permit2: str
    collector: str
    native_symbol: str
    rpc_url: str
    options: tuple[OptionView, ...]


@dataclass(frozen=True, slots=True)
class SettlementView:
    """What the merchant is paid in."""

    network: str
    chain_id: int
    token_address: str
    symbol: str
    decimals: int


@dataclass(frozen=True, slots=True)
class WalletApp:
    """A phone's wallet app with a browser of its own, and the link that opens a page there."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class PayPage:
    """The page of a session. ``added_fee`` and ``total`` (Micro-USD) are known where the payer
    bears a fee that is the same for every way to pay. ``signer`` is the account whose signature
    makes an order ours; ``settlement`` is None where the operator took the token away."""

    session_id: str
    client_code: str
    url: str
    qr: str
    apps: tuple[WalletApp, ...]
    branding: Branding
    test_mode: bool
    lines: tuple[LineView, ...]
    amount: MicroUsd
    payer_bears_fee: bool
    added_fee: MicroUsd | None
    total: MicroUsd
    networks: tuple[NetworkView, ...]
    signer: str
    settlement: SettlementView | None
    asks_email: bool
    time_left: str
    expires_text: str
    from_link: bool
    status: Status


def pay_page(
    view: SessionView,
    options: Sequence[tuple[RouteOption, tuple[Way, ...]]],
    shown: Status,
    words: Words,
    *,
    branding: Branding,
    signer: Address,
    settlement: SettlementView | None,
    url: str,
    qr: str,
) -> PayPage:
    """``options``: what can be paid with, each with its ways, the least work first. ``signer``
    signs the orders. ``url`` is the page's own address and ``qr`` a picture of it as a ``data:``
    URL."""
    session = view.session
    fee = _added_fee(session, [option for option, _ in options])
    return PayPage(
        session_id=session.session_id,
        client_code=session.client_code,
        url=url,
        qr=qr,
        apps=wallet_apps(url),
        branding=branding,
        test_mode=session.tenant.mode is Mode.TEST,
        lines=tuple(line_view(item, words) for item in session.line_items),
        amount=session.amount,
        payer_bears_fee=session.fee_model is FeeModel.PAYER_PAYS,
        added_fee=fee,
        total=MicroUsd(session.amount + (fee or 0)),
        networks=_grouped(session, options, words),
        signer=to_checksum(signer),
        settlement=settlement,
        asks_email=session.payer_email_required and session.payer_email is None,
        time_left=words.duration(shown.expires_at - shown.now),
        expires_text=words.moment(session.expires_at),
        from_link=session.business_type is BusinessType.PAYMENT_LINK,
        status=shown,
    )


def wallet_apps(url: str) -> tuple[WalletApp, ...]:
    """The apps that document a link which opens ``url`` in their browser: MetaMask (deeplinks),
    Coinbase Wallet (mobile linking), Trust Wallet (deep linking) and OKX (app universal link)."""
    bare = url.partition("://")[2]
    encoded = quote(url, safe="")
    okx = quote(f"okx://wallet/dapp/url?dappUrl={encoded}", safe="")
    return (
        WalletApp("MetaMask", f"https://link.metamask.io/dapp/{bare}"),
        WalletApp("Coinbase Wallet", f"https://go.cb-w.com/dapp?cb_url={encoded}"),
        WalletApp(
            "Trust Wallet", f"https://link.trustwallet.com/open_url?coin_id=60&url={encoded}"
        ),
        WalletApp("OKX Wallet", f"https://web3.okx.com/download?deeplink={okx}"),
    )


def _added_fee(session: Session, options: Sequence[RouteOption]) -> MicroUsd | None:
    if session.fee_model is FeeModel.MERCHANT_PAYS:
        return None
    fees = {share_rounded_up(session.amount, option.fee_ppm) for option in options}
    return MicroUsd(fees.pop()) if len(fees) == 1 else None


def _grouped(
    session: Session, options: Sequence[tuple[RouteOption, tuple[Way, ...]]], words: Words
) -> tuple[NetworkView, ...]:
    networks: dict[str, Network] = {}
    groups: dict[str, list[OptionView]] = {}
    for option, ways in options:
        shown = _option_view(session, option, ways, words)
        networks[option.network.name] = option.network
        groups.setdefault(option.network.name, []).append(shown)
    return tuple(_network_view(networks[name], rows) for name, rows in groups.items())


def _network_view(network: Network, options: Sequence[OptionView]) -> NetworkView:
    collector = network.contracts.permit_collector
    return NetworkView(
        title=network.title,
        chain_id=network.chain_id,
        router=to_checksum(network.router),
        permit2=to_checksum(network.permit2) if network.permit2 else "",
        collector=to_checksum(collector.address) if collector else "",
        native_symbol=network.native_symbol,
        # Only a local network's: another RPC address may carry the operator's access key.
        rpc_url=next((url for url in network.rpc_urls if is_loopback(url)), ""),
        options=tuple(options),
    )


def settlement_view(token: Token, networks: Networks) -> SettlementView:
    """What ``token`` is called on the page."""
    return SettlementView(
        network=networks.network(token.network).title,
        chain_id=token.chain_id,
        token_address=to_checksum(token.address),
        symbol=token.symbol,
        decimals=token.decimals,
    )


def _option_view(
    session: Session, option: RouteOption, ways: tuple[Way, ...], words: Words
) -> OptionView:
    """The fee is named where the payer bears it: all that comes on top, whoever gets it."""
    fee, signing = "", option.token.signing
    if session.fee_model is FeeModel.PAYER_PAYS:
        added = MicroUsd(share_rounded_up(session.amount, option.fee_ppm))
        fee = words.dollars(added)
    return OptionView(
        token_id=option.token.token_id,
        symbol=option.token.symbol,
        payer_pays=words.token(option.quote.payer_pays, option.token.symbol),
        atomic=option.quote.payer_pays.atomic,
        fee=fee,
        needs_no_gas=ways[0] is Way.ERC3009,
        way=ways[0].value,
        token_address=to_checksum(option.token.address),
        decimals=option.token.decimals,
        signing_name=signing.name if signing else "",
        signing_version=signing.version if signing else "",
    )
