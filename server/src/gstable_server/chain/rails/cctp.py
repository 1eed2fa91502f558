"""USDC across networks by Circle's cross-chain transfer protocol, version 2.

The payment is burnt on the source with the merchant as the mint recipient
(contracts/src/rails/CctpRail.sol); Circle's attestation service signs the message; whoever hands
message and signatures to the destination has the merchant's USDC minted. The message's nonce makes
that happen once. Nobody can redirect it, and a message that has expired, as only fast ones do, is
signed again on request: there is nothing to recover.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from gstable_server.chain import abi
from gstable_server.chain.abi import rails as rails_abi
from gstable_server.chain.checksum import keccak256
from gstable_server.chain.executor.model import Sender
from gstable_server.chain.facts import DeliveryLog, EscrowLog, HoldLog, PaymentLog, RailName
from gstable_server.chain.networks import Cctp, Network, Networks, Token
from gstable_server.chain.orders import ContractCall
from gstable_server.chain.rails.attestation import AttestationService, Attested, Pending
from gstable_server.chain.rails.cctp_message import Burn, NotAMessage, parse_burn, parse_message
from gstable_server.chain.rails.observing import place
from gstable_server.chain.rails.par import at_par_rounded_up, quote_of
from gstable_server.chain.rails.port import (
    Crossing,
    Done,
    RailQuote,
    RailRequest,
    RailTerms,
    Send,
    Step,
    Wait,
)
from gstable_server.chain.rpc import Header, Log, Rpc
from gstable_server.kernel.clock import UnixSeconds
from gstable_server.kernel.money import PARTS_PER_MILLION

SYMBOL = "USDC"
_ADDRESS_PADDING = bytes(12)


class CctpRail:
    """``chains`` reads each network by name; ``attestations`` is asked at each network's URL."""

    def __init__(
        self,
        networks: Networks,
        chains: Mapping[str, Rpc],
        attestations: AttestationService,
    ) -> None:
        self._networks = networks
        self._chains = chains
        self._attestations = attestations

    @property
    def name(self) -> RailName:
        return RailName.CCTP

    def serves(
        self, source: Network, paying: Token, destination: Network, settlement: Token
    ) -> bool:
        return (
            source.name != destination.name
            and source.mode is destination.mode
            and source.contracts.cctp_rail is not None
            and source.cctp is not None
            and destination.cctp is not None
            and paying == _usdc(source)
            and settlement == _usdc(destination)
        )

    def quote(self, request: RailRequest) -> RailQuote | None:
        """The merchant's amount and, on top, the most that Circle may take of all that is burnt."""
        par = at_par_rounded_up(request.merchant_amount, request.settlement, request.paying)
        kept_ppm = PARTS_PER_MILLION - _cctp(request.source).max_fee_ppm
        return quote_of(request, -(-par * PARTS_PER_MILLION // kept_ppm))

    def start(self, request: RailRequest, deadline: UnixSeconds) -> RailTerms:
        source, destination = request.source, request.destination
        quoted = self.quote(request)
        assert quoted is not None, "an order is made of a route that was quoted"
        assert source.contracts.cctp_rail is not None, f"{source.name} has no CCTP rail"
        par = at_par_rounded_up(request.merchant_amount, request.settlement, request.paying)
        data = abi.encode(
            abi.number_word(_cctp(destination).domain),
            abi.number_word(quoted.amount - par),
            abi.number_word(_cctp(source).finality_threshold),
        )
        return RailTerms(source.contracts.cctp_rail.address, data)

    def observe(
        self, network: Network, header: Header, log: Log
    ) -> DeliveryLog | EscrowLog | HoldLog | None:
        """A mint that one of our rails caused: sent by Circle's messenger of the source, which
        says that our rail there called it. Anybody may send other messages, and burn their own."""
        if network.cctp is None or log.address != network.cctp.message_transmitter:
            return None
        found = rails_abi.MESSAGE_RECEIVED.read(log)
        if found is None:
            return None
        _, source_domain, nonce, sender, _, body = found
        source = self._at_domain(network, source_domain)
        burn = _burn(body)
        token = _usdc(network)
        if source is None or burn is None or token is None:
            return None
        if not _is_ours(source, sender, burn):
            return None
        return DeliveryLog(
            **place(network, header, log),
            session_key=burn.hook,
            rail=RailName.CCTP,
            merchant=burn.recipient,
            token=token.address,
            amount=burn.amount - burn.fee_executed,
            fee=burn.fee_executed,
            reference=nonce,
            solver=None,
            source_chain_id=source.chain_id,
        )

    def delivers(self, payment: PaymentLog, delivery: DeliveryLog) -> bool:
        """Every burn of our rail has a payment of its own, and a network's router pays a session
        once: so session and source name it. The rest is compared because it must be so."""
        return (
            payment.rail is delivery.rail is RailName.CCTP
            and delivery.session_key == payment.session_key
            and delivery.source_chain_id == payment.chain_id
            and delivery.chain_id == payment.settlement_chain_id
            and delivery.token == payment.settlement_token
            and delivery.merchant == payment.merchant
            and delivery.amount + delivery.fee == payment.amount
        )

    async def finish(self, crossing: Crossing) -> Step:
        """Mint as soon as the service has signed: how deep the burn must be is its to decide."""
        if crossing.delivery is not None:
            return Done()
        payment, source, destination = crossing.payment, crossing.source, crossing.destination
        known = await self._attestations.messages(_cctp(source), payment.tx_hash)
        found = next((each for each in known if _is_of(each, payment, source, destination)), None)
        if not isinstance(found, Attested):
            return _waiting(known)
        message = parse_message(found.message)
        transmitter, chain = _cctp(destination).message_transmitter, self._chains[destination.name]
        used = await chain.call(transmitter, abi.call_data(rails_abi.USED_NONCES, message.nonce))
        if int.from_bytes(used, "big") != 0:
            return Wait("minted; the block is being read")
        expiration = message.burn.expiration
        if expiration != 0 and await chain.block_number() + 1 >= expiration:
            await self._attestations.reattest(_cctp(source), message.nonce)
            return Wait("the attestation has expired, another one was asked for")
        data = abi.call_data(
            rails_abi.RECEIVE_MESSAGE,
            abi.Dynamic(found.message),
            abi.Dynamic(found.attestation),
        )
        return Send(
            network=destination.name,
            sender=Sender.RELAYER,
            call=ContractCall(transmitter, data),
            purpose="mint",
            # A message that is attested again is another call, and another cause.
            cause=f"mint:{payment.object_id}:0x{keccak256(found.message).hex()}",
        )

    def recover(self, crossing: Crossing, now: datetime) -> ContractCall | None:
        """Nothing: the message stays valid, and anybody may hand it in."""
        return None

    def _at_domain(self, here: Network, domain: int) -> Network | None:
        """The network with Circle's number ``domain``: live and test networks share the numbers."""
        for network in self._networks.of(here.mode):
            if network.cctp is not None and network.cctp.domain == domain:
                return network
        return None


def _is_ours(source: Network, sender: bytes, burn: Burn) -> bool:
    token = _usdc(source)
    return (
        source.cctp is not None
        and sender == _ADDRESS_PADDING + source.cctp.token_messenger
        and source.contracts.cctp_rail is not None
        and burn.sender == source.contracts.cctp_rail.address
        and token is not None
        and burn.token == token.address
        and len(burn.hook) == abi.WORD
        and burn.fee_executed < burn.amount
    )


def _is_of(
    found: Attested | Pending, payment: PaymentLog, source: Network, destination: Network
) -> bool:
    """Whether it is the payment's own message; a transaction may hold burns of others."""
    if isinstance(found, Pending):
        return False
    try:
        message = parse_message(found.message)
    except NotAMessage:
        return False
    return (
        message.source_domain == _cctp(source).domain
        and message.destination_domain == _cctp(destination).domain
        and message.burn.hook == payment.session_key
        and message.burn.recipient == payment.merchant
        and message.burn.amount == payment.amount
        and _is_ours(source, _ADDRESS_PADDING + message.sender, message.burn)
    )


def _waiting(known: tuple[Attested | Pending, ...]) -> Wait:
    if not known:
        return Wait("the attestation service does not know the burn yet")
    reasons = [each.delay_reason for each in known if isinstance(each, Pending)]
    if not reasons:
        return Wait("the attestation service knows other messages of the transaction only")
    delayed = ", ".join(sorted({reason for reason in reasons if reason}))
    return Wait(f"the burn is being attested{f': {delayed}' if delayed else ''}")


def _cctp(network: Network) -> Cctp:
    assert network.cctp is not None, f"{network.name} is not on CCTP"
    return network.cctp


def _usdc(network: Network) -> Token | None:
    return next((token for token in network.tokens if token.symbol == SYMBOL), None)


def _burn(body: bytes) -> Burn | None:
    try:
        return parse_burn(body)
    except NotAMessage:
        return None
