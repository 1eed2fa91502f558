"""The AI payment protocol on the wire (spec 10): messages parsed strictly, answers as types.

Numbers that are signed are decimal strings, chain ids are strings, and addresses are written with
the checksum of EIP-55, because published clients hand them to libraries that refuse any other.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, NotRequired

from pydantic import AfterValidator, BeforeValidator, StringConstraints
from typing_extensions import TypedDict

from gstable_server.agents.model import (
    Authorization,
    CreateSession,
    Prepare,
    Purpose,
)
from gstable_server.catalog.wire import AttributeJson
from gstable_server.chain.typed_data import SIGNATURE_BYTES_MAX, Value
from gstable_server.kernel.address import address_from_hex
from gstable_server.kernel.fields import Body, storable

_UINT256_MAX = 2**256 - 1
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,77}")
_BYTES32 = re.compile(r"0x[0-9a-fA-F]{64}")
_BYTES = re.compile(r"0x(?:[0-9a-fA-F]{2})+")


def _decimal(value: Any) -> str:
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value) or int(value) > _UINT256_MAX:
        raise ValueError('must be a decimal string like "3009000", not a number')
    return value


def _address(text: str) -> str:
    address_from_hex(text)
    return text


def _bytes32(text: str) -> str:
    if not _BYTES32.fullmatch(text):
        raise ValueError("must be 0x followed by 64 hexadecimal digits")
    return text


def _signature(text: str) -> str:
    if not _BYTES.fullmatch(text):
        raise ValueError("must be 0x followed by 130 hexadecimal digits: r, s and v")
    raw = bytes.fromhex(text[2:])
    if not 65 <= len(raw) <= SIGNATURE_BYTES_MAX:
        raise ValueError(
            f"must have 65 bytes (r, s and v), a contract's up to {SIGNATURE_BYTES_MAX}"
        )
    if len(raw) == 65 and raw[64] not in (27, 28):
        raise ValueError("must end with v, which is 27 or 28")
    return text


Decimal = Annotated[str, BeforeValidator(_decimal)]
Hex20 = Annotated[str, AfterValidator(_address)]
Hex32 = Annotated[str, AfterValidator(_bytes32)]
Signature = Annotated[str, AfterValidator(_signature)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(storable)]


class CreateSessionMessage(Body):
    """What ``PaymentSessionCreationAuthorization`` is signed over (spec 10.1)."""

    purpose: Literal["create_payment_session"]
    link_id: Text
    link_version: Text
    merchant_id: Text
    payer: Hex20
    payment_chain_id: Decimal
    payment_token: Hex20
    amount: Decimal
    authorization_nonce: Hex32
    authorization_expires_at: Decimal


class CreateSessionInput(Body):
    """The body of POST /payment/session/create."""

    message: CreateSessionMessage
    signature: Signature

    def parsed(self) -> CreateSession:
        """The same as our model has it."""
        message = self.message
        amount = int(message.amount)
        terms: dict[str, Value] = {
            "linkId": message.link_id,
            "linkVersion": message.link_version,
            "amount": amount,
        }
        authorization = _authorization(message, terms, self.signature)
        return CreateSession(message.link_id, message.link_version, amount, authorization)


class PrepareMessage(Body):
    """What ``PreparePaymentAuthorization`` is signed over (spec 10.1); ``payerEmail`` is ``""``
    where the merchant asks for none."""

    purpose: Literal["prepare_payment"]
    session_id: Text
    merchant_id: Text
    payer: Hex20
    payer_email: Annotated[str, StringConstraints(max_length=254), AfterValidator(storable)]
    payment_chain_id: Decimal
    payment_token: Hex20
    authorization_nonce: Hex32
    authorization_expires_at: Decimal


class PrepareInput(Body):
    """The body of POST /payment/prepare."""

    message: PrepareMessage
    signature: Signature

    def parsed(self) -> Prepare:
        """The same as our model has it."""
        message = self.message
        terms: dict[str, Value] = {
            "sessionId": message.session_id,
            "payerEmail": message.payer_email,
        }
        authorization = _authorization(message, terms, self.signature)
        return Prepare(message.session_id, message.payer_email, authorization)


def _authorization(
    message: CreateSessionMessage | PrepareMessage, terms: dict[str, Value], signature_hex: str
) -> Authorization:
    return Authorization(
        purpose=Purpose(message.purpose),
        terms=terms,
        merchant_id=message.merchant_id,
        payer=address_from_hex(message.payer),
        chain_id=int(message.payment_chain_id),
        token=address_from_hex(message.payment_token),
        nonce=bytes.fromhex(message.authorization_nonce[2:]),
        expires_at=int(message.authorization_expires_at),
        signature=bytes.fromhex(signature_hex[2:]),
    )


# --- answers --------------------------------------------------------------------------------------


class AgentProductDataJson(TypedDict):
    """What is sold; what is not set is absent."""

    productName: str
    productDescription: NotRequired[str]
    imageUrl: NotRequired[str]
    attributes: NotRequired[list[AttributeJson]]


class AgentLineItemJson(TypedDict):
    """A line; the price of one piece as decimal US dollars, absent where the payer decides."""

    quantity: int
    productData: NotRequired[AgentProductDataJson]
    unitPriceInUSD: NotRequired[str]


class PricingModelJson(TypedDict):
    """``fixed``, or ``custom`` with limits and the merchant's suggestions in decimal US dollars."""

    type: Literal["fixed", "custom"]
    minAmountInUSD: NotRequired[str]
    maxAmountInUSD: NotRequired[str]
    presetAmountsInUSD: NotRequired[list[str]]


class PresetAmountJson(TypedDict):
    """An amount that the merchant suggests, and what it comes to in the token."""

    amountInUSD: str
    amountInToken: str


class PaymentTokenJson(TypedDict):
    """A token that can pay. ``amountInToken`` is the whole charge in the token's smallest units,
    ``"0"`` where the payer decides; ``amountInUSD`` the price before a fee of the payer's."""

    chainName: str
    chainId: str
    tokenAddress: str
    name: str
    symbol: str
    decimals: int
    amountInToken: str
    amountInUSD: str
    minAmountInToken: NotRequired[str]
    maxAmountInToken: NotRequired[str]
    presetAmounts: NotRequired[list[PresetAmountJson]]


class DomainJson(TypedDict):
    """The domain of EIP-712: these three members and no other."""

    name: str
    version: str
    chainId: str


class AuthorizationSpecJson(TypedDict):
    """What is to be signed; ``types`` without ``EIP712Domain``."""

    type: Literal["eip712"]
    purpose: str
    domain: DomainJson
    types: dict[str, list[dict[str, str]]]


class RequirementJson(TypedDict):
    """A signature that the next step needs; ``messageTemplate`` has what is known of its message,
    and ``<…>`` where the payer fills in."""

    authorizationRequired: bool
    authorizationSpec: AuthorizationSpecJson
    messageTemplate: NotRequired[dict[str, str]]


class NextActionJson(TypedDict):
    """What to do next."""

    action: str
    authorizationRequired: bool
    description: str


class WorkflowJson(TypedDict):
    """Where the payment stands (spec 15, AI protocol)."""

    stage: str
    nextAction: NextActionJson


class LinkAiViewJson(TypedDict):
    pricingModel: PricingModelJson
    supportedPaymentTokens: list[PaymentTokenJson]
    createPaymentSessionRequirement: RequirementJson
    workflow: WorkflowJson


class AgentLinkJson(TypedDict):
    """A link as a paying agent sees it; ``lineItems`` is a flat array here (spec 10.2)."""

    merchantId: str
    linkId: str
    linkVersion: str
    linkName: str
    lineItems: list[AgentLineItemJson]
    aiView: LinkAiViewJson


class TxRequestJson(TypedDict):
    chainId: str
    to: str
    data: str
    value: str


class UserReviewJson(TypedDict):
    description: str
    irreversible: bool


class ExecutionRequestJson(TypedDict):
    purpose: Literal["execute_payment_guide"]
    sessionId: str
    txRequest: TxRequestJson
    userReview: UserReviewJson


class PaymentExecutionGuideJson(TypedDict):
    """The transaction that pays, once the payer has let ``to`` take the amount (ERC-20)."""

    authorizationRequired: bool
    executionRequest: ExecutionRequestJson


class CompletePaymentSessionGuideJson(TypedDict):
    """What the payer chooses in a session that was opened without a payer."""

    authorizationRequired: bool
    requiredParameters: list[str]
    supportedPaymentTokens: list[PaymentTokenJson]
    description: str


class AgentPaymentJson(TypedDict):
    """The payment that pays the session, as it stands on its chain."""

    status: str
    chainId: str
    transactionHash: str
    payer: str


class SessionAiViewJson(TypedDict):
    pricingModel: PricingModelJson
    workflow: WorkflowJson
    preparePaymentRequirement: NotRequired[RequirementJson]
    paymentExecutionGuide: NotRequired[PaymentExecutionGuideJson]
    completePaymentSessionGuide: NotRequired[CompletePaymentSessionGuideJson]
    payment: NotRequired[AgentPaymentJson]


class CreatedAgentSessionJson(TypedDict):
    """A session as its creation answers it; ``sessionExpiresAt`` in Unix seconds (spec 10.3)."""

    sessionId: str
    sessionType: str
    sessionExpiresAt: int
    merchantId: str
    aiView: SessionAiViewJson


class AgentSessionJson(CreatedAgentSessionJson):
    """A session as it is now (spec 10.4)."""

    lineItems: list[AgentLineItemJson]


class PreparedAiViewJson(TypedDict):
    pricingModel: PricingModelJson
    paymentExecutionGuide: PaymentExecutionGuideJson
    workflow: WorkflowJson


class PreparedPaymentJson(TypedDict):
    """What executes the payment: the call and, in ``aiView``, the same as a transaction."""

    executionChainId: str
    executorContract: str
    calldata: str
    aiView: PreparedAiViewJson
