"""Pay GStable links and sessions from a program's own wallet, within limits.

    from gstable.agent import AgentClient, SpendLimits

    limits = SpendLimits(per_payment=5_000_000, per_day=20_000_000)  # Micro-USD
    with AgentClient(private_key, {137: "https://…"}, limits) as agent:
        print(agent.plan("lnk_…", 137))
        receipt = agent.pay("lnk_…", 137)

Needs the extra `agent` (eth-account). Every name here is public.
"""

from gstable.agent._async.client import AsyncAgentClient
from gstable.agent._errors import (
    AgentError,
    ChainError,
    LimitExceeded,
    NotPayable,
    PaymentPending,
    SpendStoreError,
    TransactionReverted,
    UnsafePayment,
)
from gstable.agent._limits import FileSpendStore, MemorySpendStore, SpendLimits, SpendStore
from gstable.agent._models import (
    AgentLine,
    AgentLink,
    AgentSession,
    PaidReceipt,
    PayableToken,
    Plan,
    PreparedPayment,
)
from gstable.agent._sync.client import AgentClient
from gstable.agent._typed_data import Signer

__all__ = [
    "AgentClient",
    "AgentError",
    "AgentLine",
    "AgentLink",
    "AgentSession",
    "AsyncAgentClient",
    "ChainError",
    "FileSpendStore",
    "LimitExceeded",
    "MemorySpendStore",
    "NotPayable",
    "PaidReceipt",
    "PayableToken",
    "PaymentPending",
    "Plan",
    "PreparedPayment",
    "Signer",
    "SpendLimits",
    "SpendStore",
    "SpendStoreError",
    "TransactionReverted",
    "UnsafePayment",
]
