"""Paying from any wallet or exchange: what the page shows of a deposit address, and its words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import segno

from gstable_server.chain.checksum import address_from_text, to_checksum
from gstable_server.chain.networks import Networks
from gstable_server.kernel.address import Address
from gstable_server.kernel.errors import invalid_field
from gstable_server.kernel.money import Money, token_text
from gstable_server.routing.model import RouteOption
from gstable_server.sessions.deposits.model import DepositView, is_worth_returning, place_of
from gstable_server.sessions.model import SessionState
from gstable_server.web.language import Words


def refund_address(text: str | None) -> Address | None:
    """The address that a payer typed for returns. Refuses with 400101 what is none."""
    if text is None or not text.strip():
        return None
    try:
        return address_from_text(text.strip())
    except ValueError as trouble:
        raise invalid_field("refundTo", str(trouble)) from None


def transfer_uri(view: DepositView, option: RouteOption) -> str:
    """The transfer as wallets read it from a QR code (EIP-681)."""
    token, receiver = to_checksum(option.token.address), to_checksum(view.deposit.address)
    amount = view.missing(option)
    return (
        f"ethereum:{token}@{option.network.chain_id}/transfer?address={receiver}&uint256={amount}"
    )


def deposit_json(view: DepositView, option: RouteOption) -> dict[str, Any]:
    """Where to send what; ``amountInToken`` is what is still missing, in the token's smallest
    units."""
    terms = view.deposit.terms
    return {
        "address": to_checksum(view.deposit.address),
        "network": option.network.name,
        "networkName": option.network.title,
        "chainId": option.network.chain_id,
        "tokenId": option.token.token_id,
        "tokenAddress": to_checksum(option.token.address),
        "tokenSymbol": option.token.symbol,
        "amountInToken": str(view.missing(option)),
        "arrivedInToken": str(view.arrived(option)),
        "uri": transfer_uri(view, option),
        "refundTo": to_checksum(terms.refund_to),
        "refundableAfter": terms.refundable_after,
    }


@dataclass(frozen=True, slots=True)
class Choice:
    """A token that a transfer can pay with, and what it costs, in words."""

    token_id: str
    text: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """One transfer that pays. ``amount`` is the bare number, for exchanges' forms; the codes are
    pictures as ``data:`` URLs. All of it is made of the deposit's terms, the codes too."""

    address: str
    network: str
    symbol: str
    amount: str
    token_address: str
    uri: str
    uri_qr: str
    address_qr: str


@dataclass(frozen=True, slots=True)
class DepositSection:
    """The part of the page for payers without a wallet that it could ask.

    ``shown`` is None until an address was asked for; ``refund_to`` and ``refund_time`` are fixed
    from then on.
    """

    choices: tuple[Choice, ...]
    shown: Shown | None = None
    refund_to: str = ""
    refund_time: str = ""
    goes_to_merchant: bool = False


def deposit_section(
    options: Sequence[RouteOption], view: DepositView | None, chosen: str, words: Words
) -> DepositSection:
    """``options``: what a transfer can pay with; ``chosen`` the token that the payer asks about,
    which may be any text."""
    usable = tuple(options) if view is None else view.options
    known = {option.token.token_id: option for option in usable}
    picked = known.get(chosen) or (_begun(view) if view else None) or next(iter(usable), None)
    choices = tuple(
        Choice(
            option.token.token_id,
            words.gettext(
                "%(amount)s on %(network)s",
                amount=_amount(option.quote.payer_pays.atomic, option, words),
                network=option.network.title,
            ),
            option is picked,
        )
        for option in usable
    )
    if view is None or picked is None:
        return DepositSection(choices)
    terms = view.deposit.terms
    return DepositSection(
        choices=choices,
        shown=_shown(view, picked),
        refund_to=to_checksum(terms.refund_to),
        refund_time=words.moment(view.deposit.refundable_after),
        goes_to_merchant=terms.refund_to == terms.merchant,
    )


def _begun(view: DepositView) -> RouteOption | None:
    """The token of which a part has arrived."""
    return next((option for option in view.options if view.arrived(option)), None)


def _shown(view: DepositView, option: RouteOption) -> Shown:
    address = to_checksum(view.deposit.address)
    missing, uri = Money(view.missing(option), option.token.asset), transfer_uri(view, option)
    return Shown(
        address=address,
        network=option.network.title,
        symbol=option.token.symbol,
        amount=token_text(missing),
        token_address=to_checksum(option.token.address),
        uri=uri,
        uri_qr=_picture(uri),
        address_qr=_picture(address),
    )


def _picture(text: str) -> str:
    return str(segno.make(text, error="m").svg_data_uri(border=2))


def _amount(atomic: int, option: RouteOption, words: Words) -> str:
    return words.token(Money(atomic, option.token.asset), option.token.symbol)


def notices(view: DepositView, networks: Networks, words: Words) -> Iterable[str]:
    """What the payer must know of money at the address that is not on its way to the merchant."""
    if not view.rests:
        return
    is_open = view.session.state is SessionState.INITIALIZED
    by_place = {place_of(option): option for option in view.options} if is_open else {}
    for (name, token), balance in view.balances.items():
        network = networks.find_network(name)
        if network is None:
            continue
        option = by_place.get((name, token))
        if option is not None:
            if missing := view.missing(option):
                yield words.gettext(
                    "%(amount)s arrived on %(network)s. Send %(missing)s more to the same "
                    "address to complete it.",
                    amount=_amount(balance, option, words),
                    network=network.title,
                    missing=_amount(missing, option, words),
                )
        elif is_worth_returning(network, token, balance):
            known = networks.token_at(name, token)
            what = words.gettext("A deposit of %(coin)s", coin=network.native_symbol)
            if known is not None:
                what = words.token(Money(balance, known.asset), known.symbol)
            yield words.gettext(
                "%(amount)s on %(network)s does not pay this. It goes to %(address)s after "
                "%(time)s.",
                amount=what,
                network=network.title,
                address=to_checksum(view.deposit.terms.refund_to),
                time=words.moment(view.deposit.refundable_after),
            )
