"""What a payment would do, in words and numbers. Pure but for the record of what was spent."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from gstable.agent._checks import address
from gstable.agent._errors import LimitExceeded
from gstable.agent._limits import SpendLimits, decimal_text, micro_usd_rounded_up, usd
from gstable.agent._models import AgentLink, PayableToken, Plan


@dataclass(frozen=True, slots=True)
class Funds:
    """What the chain says: `decimals` of the token's contract, `token_balance` in smallest units,
    `gas_balance` in wei."""

    payer: str
    decimals: int
    token_balance: int
    gas_balance: int


def plan(
    link: AgentLink,
    token: PayableToken,
    amount_in_token: int,
    funds: Funds,
    limits: SpendLimits,
    now: int,
) -> Plan:
    """The plan of paying `amount_in_token` smallest units of `token` for `link`."""
    amount = micro_usd_rounded_up(amount_in_token, funds.decimals)
    spent = limits.store.spent(now)
    sum_text = f"{decimal_text(amount_in_token, funds.decimals)} {token.symbol}"
    return Plan(
        link_id=link.link_id,
        link_name=link.link_name,
        merchant_id=link.merchant_id,
        payer=funds.payer,
        chain_id=token.chain_id,
        chain_name=token.chain_name,
        token_address=address(token.token_address, "tokenAddress"),
        symbol=token.symbol,
        decimals=funds.decimals,
        amount_in_token=amount_in_token,
        amount=amount,
        token_balance=funds.token_balance,
        gas_balance=funds.gas_balance,
        spent_today=spent,
        steps=_steps(token, sum_text, amount, spent, limits),
        obstacles=tuple(_obstacles(link, token, amount_in_token, amount, funds, limits, spent)),
    )


def _steps(
    token: PayableToken, sum_text: str, amount: int, spent: int, limits: SpendLimits
) -> tuple[str, ...]:
    return (
        f"Sign a message that opens a session for {sum_text} (moves no money)",
        "Sign a message that has its payment prepared (moves no money)",
        "Check that the prepared call pays this session, in this token, and takes no more",
        f"Count {usd(amount)} USD: {usd(spent + amount)} of {usd(limits.per_day)} USD in 24 hours",
        f"Approve exactly {sum_text} on {token.chain_name}, unless that much is approved",
        f"Send the payment of {sum_text} on {token.chain_name} (cannot be undone)",
        "Wait until it is in a block and the platform calls it completed",
    )


def _obstacles(
    link: AgentLink,
    token: PayableToken,
    amount_in_token: int,
    amount: int,
    funds: Funds,
    limits: SpendLimits,
    spent: int,
) -> Iterator[str]:
    for check in (
        partial(limits.check_merchant, link.merchant_id),
        partial(limits.check_token, token.chain_id, token.token_address),
        partial(limits.check_payment, amount),
    ):
        try:
            check()
        except LimitExceeded as exceeded:
            yield exceeded.message
    if spent + amount > limits.per_day:
        yield f"{usd(spent)} USD of {usd(limits.per_day)} USD in 24 hours are spent"
    if funds.decimals != token.decimals:
        yield f"the platform tells other decimals than the contract of {token.symbol}"
    if funds.token_balance < amount_in_token:
        yield f"the wallet has {decimal_text(funds.token_balance, funds.decimals)} {token.symbol}"
    if funds.gas_balance == 0:
        yield f"the wallet has nothing to pay gas with on {token.chain_name}"
