"""The two authorizations of an agent, made anew for each attempt. Source: section 10.1."""

import secrets
from dataclasses import dataclass
from json import dumps

from gstable.agent._models import AgentLink
from gstable.agent._typed_data import CREATE_SESSION, PREPARE, PURPOSES, Authorization, Signer

VALID_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Payment:
    """What an agent has decided to pay. `amount_in_token`: smallest units, None where the session
    tells it only when it is prepared."""

    merchant_id: str
    chain_id: int
    token_address: str
    amount_in_token: int | None


def create_session(
    signer: Signer, domain: str, link: AgentLink, payment: Payment, now: int
) -> bytes:
    """The body that opens a session of a link for that payment."""
    message: dict[str, str | int] = {
        "linkId": link.link_id,
        "linkVersion": link.link_version,
        "merchantId": payment.merchant_id,
        "payer": str(signer.address),
        "paymentChainId": payment.chain_id,
        "paymentToken": payment.token_address,
        "amount": payment.amount_in_token or 0,
    }
    return _body(signer, domain, CREATE_SESSION, message, payment.chain_id, now)


def prepare(
    signer: Signer, domain: str, session_id: str, payment: Payment, payer_email: str, now: int
) -> bytes:
    """The body that has a session's payment prepared."""
    message: dict[str, str | int] = {
        "sessionId": session_id,
        "merchantId": payment.merchant_id,
        "paymentChainId": payment.chain_id,
        "paymentToken": payment.token_address,
        "payer": str(signer.address),
        "payerEmail": payer_email,
    }
    return _body(signer, domain, PREPARE, message, payment.chain_id, now)


def _body(
    signer: Signer,
    domain: str,
    primary_type: str,
    message: dict[str, str | int],
    chain_id: int,
    now: int,
) -> bytes:
    whole: dict[str, str | int] = {
        "purpose": PURPOSES[primary_type],
        **message,
        "authorizationNonce": f"0x{secrets.token_hex(32)}",
        "authorizationExpiresAt": now + VALID_SECONDS,
    }
    return dumps(Authorization(primary_type, whole, chain_id, domain).body(signer)).encode()
