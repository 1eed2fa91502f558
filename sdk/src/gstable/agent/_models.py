"""What an agent reads, decides on and gets. Source: specification sections 10 and 15.

Amounts in a token are integers of its smallest unit (`amount_in_token`); amounts of money are
integers of Micro-USD (1 USD = 1,000,000). Addresses are text as the platform sends them.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AgentLine:
    """One line of what is sold. `unit_price_usd`: decimal text such as 1.00, None where the payer
    names the price."""

    product_name: str | None
    product_description: str | None
    quantity: int
    unit_price_usd: str | None


@dataclass(frozen=True, slots=True)
class PayableToken:
    """A token that can pay. `amount_in_token`: the final charge with the fee, smallest units; 0
    where the payer names the amount, between `least_in_token` and `most_in_token`."""

    chain_name: str
    chain_id: int
    token_address: str
    symbol: str
    decimals: int
    amount_in_token: int
    amount_in_usd: str
    least_in_token: int | None
    most_in_token: int | None


@dataclass(frozen=True, slots=True)
class AgentLink:
    """A payment link as an agent sees it. `pricing`: `fixed`, or `custom` where the payer names
    the amount. `link_version` is part of what is signed."""

    merchant_id: str
    link_id: str
    link_version: str
    link_name: str
    lines: tuple[AgentLine, ...]
    pricing: str
    tokens: tuple[PayableToken, ...]


@dataclass(frozen=True, slots=True)
class AgentSession:
    """A session as an agent sees it.

    `stage`: `session_ready`, `payment_prepared`, `payment_submitted`, `payment_completed` or
    `session_expired`; `next_action`: what to do about it. `chain_id` and `token_address` are None
    where the payer still chooses among `tokens` (a session that the merchant made).
    `expires_at`: Unix seconds, None where it is not told. `tx_hash`: the payment that was seen.
    """

    session_id: str
    session_type: str
    merchant_id: str | None
    stage: str
    next_action: str
    chain_id: int | None
    token_address: str | None
    tokens: tuple[PayableToken, ...]
    expires_at: int | None
    tx_hash: str | None


@dataclass(frozen=True, slots=True)
class PreparedPayment:
    """What the platform asks to be sent, checked against what was agreed (section 10.5).

    `total`: what `executor` may take, smallest units of the token: the merchant's part and the
    fee. `deadline`: the last second (Unix) at which it can be paid.
    """

    session_id: str
    session_key: bytes
    chain_id: int
    token_address: str
    executor: str
    calldata: bytes
    total: int
    deadline: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What a payment would do, without a signature. `str(plan)` tells it in words.

    `amount`, `spent_today` and the limits: Micro-USD. `token_balance`: smallest units;
    `gas_balance`: wei. `steps`: what would be done, in order; `obstacles`: why it would fail, empty
    where it would not.
    """

    link_id: str
    link_name: str
    merchant_id: str
    payer: str
    chain_id: int
    chain_name: str
    token_address: str
    symbol: str
    decimals: int
    amount_in_token: int
    amount: int
    token_balance: int
    gas_balance: int
    spent_today: int
    steps: tuple[str, ...]
    obstacles: tuple[str, ...]

    def __str__(self) -> str:
        would = [f"{number}. {step}" for number, step in enumerate(self.steps, 1)]
        lines = [f"Pay {self.link_name!r} of merchant {self.merchant_id}:", *would]
        lines += [f"Cannot be paid: {obstacle}" for obstacle in self.obstacles]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class PaidReceipt:
    """A payment that the platform calls completed.

    `amount_in_token`: smallest units that left the wallet at most; `amount`: the same in
    Micro-USD; both are None where another transaction, of this wallet or not, had paid the session
    before. `tx_hash`: None where the platform has not told it.
    """

    session_id: str
    stage: str
    chain_id: int | None
    token_address: str | None
    amount_in_token: int | None
    amount: int | None
    tx_hash: str | None
