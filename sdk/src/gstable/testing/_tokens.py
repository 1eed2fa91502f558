"""The tokens of the fake, and what may pay for what. Source: specification section 8."""

from dataclasses import dataclass

from gstable.testing._refusals import Refused
from gstable.testing._routes import Call, Route, get

LEAST_MICRO_USD = 10_000
MOST_MICRO_USD = 1_000_000_000_000
SAME_TOKEN_PPM = 2000
SAME_CHAIN_PPM = 3000
CROSS_CHAIN_PPM = 6000
PPM = 1_000_000
DECIMALS = 6
"""Of every token here, so that one Micro-USD is one of a token's smallest units."""


@dataclass(frozen=True)
class Token:
    """`address` is the token's contract, written with its EIP-55 checksum."""

    network: str
    chain_id: int
    group: str
    symbol: str
    name: str
    address: str

    @property
    def token_id(self) -> str:
        return f"{self.network}::{self.symbol.lower()}"

    def shown(self) -> dict[str, object]:
        """As a payment link shows its settlement token."""
        return {
            "tokenId": self.token_id,
            "contractAddress": self.address,
            "name": self.name,
            "symbol": self.symbol,
            "decimals": DECIMALS,
            "chainId": str(self.chain_id),
        }


def _tokens(network: str, chain_id: int, group: str, **addresses: str) -> list[Token]:
    names = {"USDC": "USD Coin", "USDT": "Tether USD"}
    return [
        Token(network, chain_id, group, symbol, names[symbol], address)
        for symbol, address in addresses.items()
    ]


TOKENS = {
    token.token_id: token
    for token in (
        *_tokens(
            "ethereum",
            1,
            "ETH",
            USDC="0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48",
            USDT="0xdAC17F958D2ee523a2206206994597C13D831ec7",
        ),
        *_tokens("base", 8453, "BASE", USDC="0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"),
        *_tokens(
            "arbitrumone",
            42161,
            "ARB",
            USDC="0xaf88d065e77c8cC2239327C5EDb3A432268e5831",
            USDT="0xFd086bC7CD5C481DCC9C85ebE478A1C0b69FCbb9",
        ),
        *_tokens(
            "polygon",
            137,
            "POL",
            USDC="0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359",
            USDT="0xc2132D05D31c914a87C6611C10748AEb04B58e8F",
        ),
    )
}


def settlement_token(token_id: str) -> Token:
    """Raises `Refused` 400201 for a token that nobody settles in."""
    if token_id not in TOKENS:
        raise Refused(400201, token_id)
    return TOKENS[token_id]


def paying_token(token_id: str) -> Token:
    """Raises `Refused` 400202 for a token that cannot pay."""
    if token_id not in TOKENS:
        raise Refused(400202, f"tokenId {token_id!r} cannot pay for this session")
    return TOKENS[token_id]


def fee_ppm(paying: Token, settlement: Token) -> int:
    """The fee of that route, in parts per million."""
    if paying == settlement:
        return SAME_TOKEN_PPM
    return SAME_CHAIN_PPM if paying.network == settlement.network else CROSS_CHAIN_PPM


def fee(amount: int, paying: Token, settlement: Token) -> int:
    """The fee on `amount`, both in Micro-USD, rounded up."""
    return -(-amount * fee_ppm(paying, settlement) // PPM)


def require_payable(amount: int) -> None:
    """Raises `Refused` 400204 for an amount (Micro-USD) that no route takes."""
    if not LEAST_MICRO_USD <= amount <= MOST_MICRO_USD:
        bounds = f"{LEAST_MICRO_USD} and {MOST_MICRO_USD}"
        raise Refused(400204, f"amount must be between {bounds} Micro-USD")


def routes() -> list[Route]:
    return [get("/capabilities/all", _matrix)]


def _matrix(call: Call) -> object:
    return {
        "supportedTokens": [
            {
                "tokenId": token.token_id,
                "symbol": token.symbol,
                "chainId": str(token.chain_id),
                "decimals": DECIMALS,
            }
            for token in TOKENS.values()
        ],
        "paymentCapabilities": {token.token_id: _ways_to(token) for token in TOKENS.values()},
    }


def _ways_to(settlement: Token) -> dict[str, list[dict[str, object]]]:
    groups: dict[str, list[dict[str, object]]] = {}
    # The settlement token itself first, as the cheapest way.
    for paying in sorted(TOKENS.values(), key=lambda token: fee_ppm(token, settlement)):
        groups.setdefault(paying.group, []).append(
            {
                "tokenId": paying.token_id,
                "crosschain": paying.network != settlement.network,
                "feeRatePPM": fee_ppm(paying, settlement),
                "minPaymentValue": LEAST_MICRO_USD,
                "maxPaymentValue": MOST_MICRO_USD,
            }
        )
    return groups
