"""Links, sessions and prepared payments as paying agents see them (spec 10.2 to 10.5)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gstable_server.agents.model import (
    CREATE_SESSION,
    DOMAIN_VERSION,
    OFFICIAL_DOMAIN,
    PREPARE,
    Purpose,
)
from gstable_server.agents.pricing import CustomPrices, Offer
from gstable_server.agents.stages import NEXT_ACTION, Stage
from gstable_server.agents.wire import (
    AgentLineItemJson,
    AgentLinkJson,
    AgentPaymentJson,
    AgentProductDataJson,
    AgentSessionJson,
    AuthorizationSpecJson,
    CompletePaymentSessionGuideJson,
    CreatedAgentSessionJson,
    DomainJson,
    LinkAiViewJson,
    NextActionJson,
    PaymentExecutionGuideJson,
    PaymentTokenJson,
    PreparedAiViewJson,
    PreparedPaymentJson,
    PricingModelJson,
    RequirementJson,
    SessionAiViewJson,
    WorkflowJson,
)
from gstable_server.catalog.model import LineItem, ProductSnapshot
from gstable_server.catalog.wire import AttributeJson
from gstable_server.chain import orders
from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.networks import Token
from gstable_server.chain.orders import SignedOrder
from gstable_server.chain.typed_data import Struct
from gstable_server.kernel.clock import unix_seconds
from gstable_server.kernel.money import MicroUsd, usd_text
from gstable_server.links.model import PaymentLink
from gstable_server.sessions.model import Payment, Session

CHAIN_ID_PLACEHOLDER = "<payment_chain_id>"
FIXED: PricingModelJson = {"type": "fixed"}
_PLACEHOLDERS = {
    "paymentChainId": CHAIN_ID_PLACEHOLDER,
    "paymentToken": "<payment_token_address>",
    "payer": "<payer_address>",
    "payerEmail": "<payer_email>",
    "authorizationNonce": "<0x and 64 random hexadecimal digits>",
    "authorizationExpiresAt": "<unix_seconds>",
}


def link(
    shown: PaymentLink, offers: Sequence[Offer], prices: CustomPrices | None, public_url: str
) -> AgentLinkJson:
    """A link; ``prices`` where the payer names the amount."""
    pricing = FIXED if prices is None else _custom(prices)
    return AgentLinkJson(
        merchantId=shown.tenant.merchant_id,
        linkId=shown.link_id,
        linkVersion=shown.version,
        linkName=shown.name,
        lineItems=_line_items(shown.line_items, public_url),
        aiView=LinkAiViewJson(
            pricingModel=pricing,
            supportedPaymentTokens=[_payment_token(offer) for offer in offers],
            createPaymentSessionRequirement=RequirementJson(
                authorizationRequired=True,
                authorizationSpec=_spec(Purpose.CREATE_SESSION, CREATE_SESSION, None),
            ),
            workflow=_workflow(Stage.LINK_READY),
        ),
    )


def created(session: Session, token: Token) -> CreatedAgentSessionJson:
    """A session that was just created; ``token`` is the one that it was created for."""
    return CreatedAgentSessionJson(
        sessionId=session.session_id,
        sessionType=session.session_type.value,
        sessionExpiresAt=unix_seconds(session.expires_at),
        merchantId=session.tenant.merchant_id,
        aiView=SessionAiViewJson(
            pricingModel=FIXED,
            workflow=_workflow(Stage.SESSION_READY),
            preparePaymentRequirement=_requirement(session, token),
        ),
    )


def session_view(
    session: Session,
    stage: Stage,
    *,
    token: Token | None,
    offers: Sequence[Offer],
    order: SignedOrder | None,
    payment: Payment | None,
    public_url: str,
) -> AgentSessionJson:
    """A session as it is now. ``token``: the one that it was created for. ``offers``: what can pay
    it where it was created for none. ``order``: what its payer was given to pay."""
    view = SessionAiViewJson(pricingModel=FIXED, workflow=_workflow(stage))
    if stage in {Stage.SESSION_READY, Stage.PAYMENT_PREPARED}:
        view["preparePaymentRequirement"] = _requirement(session, token)
        if session.preset is None:
            view["completePaymentSessionGuide"] = _completion(session, offers)
    if stage is Stage.PAYMENT_PREPARED and order is not None:
        view["paymentExecutionGuide"] = _execution(session, order)
    if payment is not None:
        view["payment"] = AgentPaymentJson(
            status=payment.state.value,
            chainId=str(payment.chain_id),
            transactionHash=f"0x{payment.tx_hash.hex()}",
            payer=to_checksum(payment.payer),
        )
    return AgentSessionJson(
        sessionId=session.session_id,
        sessionType=session.session_type.value,
        sessionExpiresAt=unix_seconds(session.expires_at),
        merchantId=session.tenant.merchant_id,
        lineItems=_line_items(session.line_items, public_url),
        aiView=view,
    )


def prepared(session: Session, order: SignedOrder) -> PreparedPaymentJson:
    """The call that pays: to the executor contract, without any coins, on its own network."""
    guide = _execution(session, order)
    request = guide["executionRequest"]["txRequest"]
    return PreparedPaymentJson(
        executionChainId=request["chainId"],
        executorContract=request["to"],
        calldata=request["data"],
        aiView=PreparedAiViewJson(
            pricingModel=FIXED,
            paymentExecutionGuide=guide,
            workflow=_workflow(Stage.PAYMENT_PREPARED),
        ),
    )


def _custom(prices: CustomPrices) -> PricingModelJson:
    return {
        "type": "custom",
        "minAmountInUSD": usd_text(prices.minimum),
        "maxAmountInUSD": usd_text(prices.maximum),
        "presetAmountsInUSD": [usd_text(amount) for amount in prices.presets],
    }


def _payment_token(offer: Offer) -> PaymentTokenJson:
    token = offer.token
    shown = PaymentTokenJson(
        chainName=offer.network.title,
        chainId=str(token.chain_id),
        tokenAddress=to_checksum(token.address),
        name=token.name,
        symbol=token.symbol,
        decimals=token.decimals,
        amountInToken=str(offer.total),
        amountInUSD=usd_text(offer.amount),
    )
    if offer.custom is not None:
        shown["minAmountInToken"] = str(offer.custom.minimum_total)
        shown["maxAmountInToken"] = str(offer.custom.maximum_total)
        shown["presetAmounts"] = [
            {"amountInUSD": usd_text(amount), "amountInToken": str(total)}
            for amount, total in offer.custom.presets
        ]
    return shown


def _line_items(items: Iterable[LineItem], public_url: str) -> list[AgentLineItemJson]:
    return [_line_item(item, public_url) for item in items]


def _line_item(item: LineItem, public_url: str) -> AgentLineItemJson:
    shown = AgentLineItemJson(quantity=item.quantity)
    if item.product is not None:
        shown["productData"] = _product(item.product, public_url)
    if item.unit_price is not None:
        shown["unitPriceInUSD"] = usd_text(MicroUsd(item.unit_price))
    return shown


def _product(product: ProductSnapshot, public_url: str) -> AgentProductDataJson:
    shown = AgentProductDataJson(productName=product.name)
    if product.description:
        shown["productDescription"] = product.description
    if product.image_url:
        ours = product.image_url.startswith("/")
        shown["imageUrl"] = public_url + product.image_url if ours else product.image_url
    if product.attributes:
        shown["attributes"] = [
            AttributeJson(name=one.name, value=one.value) for one in product.attributes
        ]
    return shown


def _spec(purpose: Purpose, struct: Struct, chain_id: int | None) -> AuthorizationSpecJson:
    shown_id = CHAIN_ID_PLACEHOLDER if chain_id is None else str(chain_id)
    return AuthorizationSpecJson(
        type="eip712",
        purpose=purpose.value,
        domain=DomainJson(name=OFFICIAL_DOMAIN, version=DOMAIN_VERSION, chainId=shown_id),
        types=struct.types(),
    )


def _requirement(session: Session, token: Token | None) -> RequirementJson:
    """What the payer signs next; what only they know is left open."""
    known = {
        "purpose": Purpose.PREPARE.value,
        "sessionId": session.session_id,
        "merchantId": session.tenant.merchant_id,
    }
    if token is not None:
        known |= {"paymentChainId": str(token.chain_id), "paymentToken": to_checksum(token.address)}
    if session.preset is not None:
        known["payer"] = to_checksum(session.preset.payer)
    names = [name for _, name in PREPARE.members]
    return RequirementJson(
        authorizationRequired=True,
        authorizationSpec=_spec(Purpose.PREPARE, PREPARE, token.chain_id if token else None),
        messageTemplate={name: known.get(name) or _PLACEHOLDERS[name] for name in names},
    )


def _completion(session: Session, offers: Sequence[Offer]) -> CompletePaymentSessionGuideJson:
    needed = ["paymentChainId", "paymentToken", "payer"]
    if session.payer_email_required and session.payer_email is None:
        needed.append("payerEmail")
    return CompletePaymentSessionGuideJson(
        authorizationRequired=False,
        requiredParameters=needed,
        supportedPaymentTokens=[_payment_token(offer) for offer in offers],
        description=(
            "This session was created without a payer. Choose one of the tokens, name it and the "
            "payer in the message that prepares the payment, and have that payer sign it."
        ),
    )


def _execution(session: Session, order: SignedOrder) -> PaymentExecutionGuideJson:
    call = orders.direct_call(order)
    return PaymentExecutionGuideJson(
        authorizationRequired=False,
        executionRequest={
            "purpose": "execute_payment_guide",
            "sessionId": session.session_id,
            "txRequest": {
                "chainId": str(order.network.chain_id),
                "to": to_checksum(call.to),
                "data": "0x" + call.data.hex(),
                "value": str(call.value),
            },
            "userReview": {
                "description": "This transaction will execute the prepared payment on-chain.",
                "irreversible": True,
            },
        },
    )


def _workflow(stage: Stage) -> WorkflowJson:
    action = NEXT_ACTION[stage]
    return WorkflowJson(
        stage=stage.value,
        nextAction=NextActionJson(
            action=action.action,
            authorizationRequired=action.authorization_required,
            description=action.description,
        ),
    )
