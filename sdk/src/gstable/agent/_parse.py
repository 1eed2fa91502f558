"""Answers of the AI payment protocol. Source: specification sections 10.2 to 10.5 and 15.

Numbers travel as decimal text here; both forms are read.
"""

from gstable._reader import Malformed, Reader
from gstable.agent._checks import DECIMALS_MAX
from gstable.agent._models import AgentLine, AgentLink, AgentSession, PayableToken


def link(found: Reader) -> AgentLink:
    view = found.child("aiView")
    return AgentLink(
        merchant_id=found.text("merchantId"),
        link_id=found.text("linkId"),
        link_version=found.text("linkVersion"),
        link_name=found.text_or_empty("linkName"),
        lines=tuple(_line(item) for item in found.children_or_none("lineItems")),
        pricing=view.child("pricingModel").text("type"),
        tokens=tuple(_token(item) for item in view.children("supportedPaymentTokens")),
    )


def session(found: Reader) -> AgentSession:
    view = found.child("aiView")
    workflow = view.child("workflow")
    requirement = view.optional_child("preparePaymentRequirement")
    template = requirement and requirement.optional_child("messageTemplate")
    payment = view.optional_child("payment")
    guide = view.optional_child("completePaymentSessionGuide")
    tokens = (guide or view).children_or_none("supportedPaymentTokens")
    return AgentSession(
        session_id=found.text("sessionId"),
        session_type=found.text("sessionType"),
        merchant_id=found.optional_text("merchantId"),
        stage=workflow.text("stage"),
        next_action=workflow.child("nextAction").text("action"),
        chain_id=_optional_decimal(template, "paymentChainId"),
        token_address=_optional_address(template, "paymentToken"),
        tokens=tuple(_token(item) for item in tokens),
        expires_at=_optional_decimal(found, "sessionExpiresAt"),
        tx_hash=_optional_text(payment, "transactionHash"),
    )


def _line(found: Reader) -> AgentLine:
    product = found.optional_child("productData")
    return AgentLine(
        product_name=_optional_text(product, "productName"),
        product_description=_optional_text(product, "productDescription"),
        quantity=found.integer("quantity"),
        unit_price_usd=found.optional_text("unitPriceInUSD"),
    )


def _token(found: Reader) -> PayableToken:
    return PayableToken(
        chain_name=found.text_or_empty("chainName"),
        chain_id=found.decimal("chainId"),
        token_address=found.text("tokenAddress"),
        symbol=found.text("symbol"),
        decimals=_decimals(found),
        amount_in_token=found.decimal("amountInToken"),
        amount_in_usd=found.text("amountInUSD"),
        least_in_token=_optional_decimal(found, "minAmountInToken"),
        most_in_token=_optional_decimal(found, "maxAmountInToken"),
    )


def _decimals(found: Reader) -> int:
    decimals = found.integer("decimals")
    if not 0 <= decimals <= DECIMALS_MAX:
        raise Malformed(f"{decimals} are no decimals of a token")
    return decimals


def _optional_text(found: Reader | None, name: str) -> str | None:
    return None if found is None else found.optional_text(name)


def _optional_decimal(found: Reader | None, name: str) -> int | None:
    """None where it is absent, or a placeholder that the payer fills in."""
    value = None if found is None else found.raw(name)
    if found is None or value is None or (isinstance(value, str) and not value.isdigit()):
        return None
    return found.decimal(name)


def _optional_address(found: Reader | None, name: str) -> str | None:
    value = None if found is None else found.raw(name)
    return value if isinstance(value, str) and value.startswith("0x") else None
