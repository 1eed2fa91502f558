"""Amounts of tokens in the words and the sums of pages; no input, output or clock."""

from __future__ import annotations

from gstable_server.chain.networks import Networks
from gstable_server.kernel.money import MICRO_USD_DECIMALS, MicroUsd, Money
from gstable_server.kernel.tenant import Mode
from gstable_server.web.dashboard.speech import _, number, token

BY_TOKEN, BY_NETWORK = "token", "network"


class Purse:
    """Stablecoins are valued at 1 USD (spec
    15, Fees); what is not configured any more is shown in atomic units, and in no sum."""

    def __init__(self, networks: Networks, mode: Mode) -> None:
        self._networks = networks
        self._mode = mode

    def micro_usd(self, token_id: str, amount: int) -> MicroUsd:
        """Rounded towards zero; 0 for a token that is not known."""
        found = self._networks.find_token(token_id, self._mode)
        if found is None:
            return MicroUsd(0)
        size = abs(amount)
        if found.decimals >= MICRO_USD_DECIMALS:
            size //= 10 ** (found.decimals - MICRO_USD_DECIMALS)
        else:
            size *= 10 ** (MICRO_USD_DECIMALS - found.decimals)
        return MicroUsd(size if amount >= 0 else -size)

    def text(self, token_id: str, amount: int) -> str:
        """Exact, with its symbol."""
        found = self._networks.find_token(token_id, self._mode)
        if found is None:
            return _("%(amount)s atomic units", amount=number(amount))
        sign = "−" if amount < 0 else ""
        return sign + token(Money(abs(amount), found.asset), found.symbol)

    def name(self, token_id: str, by: str) -> str:
        """What a part of the chart is called: the token on its network, or the network."""
        found = self._networks.find_token(token_id, self._mode)
        network = self._networks.find_network(token_id.partition("::")[0])
        title = network.title if network else token_id.partition("::")[0]
        if by == BY_NETWORK:
            return title
        symbol = found.symbol if found else token_id.partition("::")[2].upper()
        return _("%(token)s on %(network)s", token=symbol, network=title)
