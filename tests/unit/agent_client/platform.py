"""A platform and a chain in one object, behind the SDK's own mock transport.

It proves every signature and runs every transaction that it is given, so a test that passes has
seen a wallet that signed and sent the right thing. ``changed`` lets it lie.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from eth_abi.abi import decode, encode
from eth_account import Account
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from hexbytes import HexBytes

from gstable import GStableConnectionError, MockTransport, Request, Response
from gstable._sync.seam import Seam
from gstable.agent import AgentClient, SpendLimits
from gstable.agent._orders import PAY_ORDER, selector
from gstable.agent._typed_data import CREATE_SESSION, PREPARE, Authorization

KEY = "0x" + "11" * 32
PAYER = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
MERCHANT_ID = "f7d65b193454db46fb2d6277e2f5e593bffcf6adde5064a2bb5dee6fd9b0fb7a"
CHAIN_ID = 137
TOKEN = "0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359"
EXECUTOR = to_checksum_address("0x" + "ee" * 20)
MERCHANT = "0x" + "aa" * 20
FEE_RECEIVER = "0x" + "bb" * 20
PRICE = 3_009_000
FEE = 9_000
DOOR, NODE = "http://door.test/api/v1", "http://node.test/key-of-the-node"
START = 1_769_480_000


@dataclass
class Platform:
    """The door at ``DOOR`` and the node at ``NODE``."""

    now: float = START
    decimals: int = 6
    pricing: str = "fixed"
    link_open: bool = True
    balance: int = 10_000_000
    allowed: int = 0
    paid: set[bytes] = field(default_factory=set)
    sent: list[dict[str, Any]] = field(default_factory=list)
    """Transactions, oldest first, as they were signed."""
    receipts: dict[str, int] = field(default_factory=dict)
    sessions: dict[str, dict[str, Any]] = field(default_factory=dict)
    nonces: set[str] = field(default_factory=set)
    mining: bool = True
    failing: bool = False
    """Every payment is mined and fails."""
    completing: bool = True
    legacy: bool = False
    """The chain knows no EIP-1559."""
    changed: Callable[[str, Any], Any] = lambda _, answer: answer
    """The last word on an answer: (path or RPC method, what would be answered)."""
    transport: MockTransport = field(init=False)

    def __post_init__(self) -> None:
        self.transport = MockTransport(self.handle)

    def client(self, limits: SpendLimits | None = None, **settings: Any) -> AgentClient:
        """The payer, with a clock that only waits move."""
        return AgentClient(
            KEY,
            {CHAIN_ID: NODE},
            limits or SpendLimits(per_payment=5_000_000, per_day=20_000_000),
            base_url=DOOR,
            transport=self.transport,
            _seam=Seam(sleep=self.wait, now=lambda: self.now, chance=lambda: 0.0),
            **settings,
        )

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def asked(self, path: str) -> list[Any]:
        """The bodies that were posted to a path of the door."""
        url = DOOR + path
        return [request.json() for request in self.transport.requests if request.url == url]

    # --- the door ---------------------------------------------------------------------------------

    def handle(self, request: Request) -> Response:
        if request.url == NODE:
            return self.answer_rpc(request.json())
        assert "Authorization" not in request.headers
        path = request.url.removeprefix(DOOR)
        if path.startswith("/payment/link/"):
            answer: Any = self.link()
        elif path.startswith("/session/"):
            answer = self.session(path.removeprefix("/session/"))
        elif path == "/payment/session/create":
            answer = self.create(request.json())
        else:
            answer = self.prepare(request.json())
        answer = self.changed(path, answer)
        return answer if isinstance(answer, Response) else Response.envelope(answer)

    def token(self) -> dict[str, Any]:
        is_custom = self.pricing == "custom"
        limits = {"minAmountInToken": "10000", "maxAmountInToken": "5000000"}
        return {
            "chainName": "Polygon",
            "chainId": str(CHAIN_ID),
            "tokenAddress": TOKEN,
            "name": "USD Coin",
            "symbol": "USDC",
            "decimals": self.decimals,
            "amountInToken": "0" if is_custom else str(PRICE),
            "amountInUSD": "0.00" if is_custom else "3.00",
            **(limits if is_custom else {}),
        }

    def link(self) -> dict[str, Any]:
        return {
            "merchantId": MERCHANT_ID,
            "linkId": "lnk_1",
            "linkVersion": "ver_3",
            "linkName": "Premium plan",
            "lineItems": [
                {
                    "quantity": 3,
                    "productData": {"productName": "Month"},
                    "unitPriceInUSD": "1.00",
                }
            ],
            "aiView": {
                "pricingModel": {"type": self.pricing},
                "supportedPaymentTokens": [self.token()],
                "workflow": workflow("link_ready", "create_payment_session"),
            },
        }

    def create(self, body: Any) -> dict[str, Any]:
        message = self.proven(CREATE_SESSION, body)
        assert message["linkVersion"] == "ver_3"
        session_id = f"sess_{len(self.sessions) + 1}"
        self.sessions[session_id] = {
            "total": int(message["amount"]),
            "chainId": message["paymentChainId"],
            "token": message["paymentToken"],
        }
        return self.session(session_id)

    def offer(self, session_id: str) -> None:
        """A session that a merchant made: its payer chooses."""
        self.sessions[session_id] = {"total": PRICE}

    def session(self, session_id: str) -> dict[str, Any]:
        found = self.sessions[session_id]
        stage = found.get("stage") or self.stage(session_id)
        view: dict[str, Any] = {
            "pricingModel": {"type": "fixed"},
            "workflow": workflow(stage, ACTIONS[stage]),
            "preparePaymentRequirement": {
                "authorizationRequired": True,
                "messageTemplate": {
                    "paymentChainId": found.get("chainId", "<payment_chain_id>"),
                    "paymentToken": found.get("token", "<payment_token_address>"),
                },
            },
        }
        if "token" not in found:
            view["completePaymentSessionGuide"] = {"supportedPaymentTokens": [self.token()]}
        return {
            "sessionId": session_id,
            "sessionType": "ai_checkout",
            "sessionExpiresAt": int(self.now) + 1800,
            "merchantId": MERCHANT_ID,
            "lineItems": [],
            "aiView": view,
        }

    def stage(self, session_id: str) -> str:
        if keccak(text=session_id) not in self.paid:
            return "session_ready"
        return "payment_completed" if self.completing else "payment_submitted"

    def prepare(self, body: Any) -> dict[str, Any]:
        message = self.proven(PREPARE, body)
        session_id = message["sessionId"]
        calldata = f"0x{self.call(session_id).hex()}"
        return {
            "executionChainId": str(CHAIN_ID),
            "executorContract": EXECUTOR,
            "calldata": calldata,
            "aiView": {
                "pricingModel": {"type": "fixed"},
                "paymentExecutionGuide": {
                    "authorizationRequired": False,
                    "executionRequest": {
                        "purpose": "execute_payment_guide",
                        "sessionId": session_id,
                        "txRequest": {
                            "chainId": str(CHAIN_ID),
                            "to": EXECUTOR,
                            "data": calldata,
                            "value": "0",
                        },
                    },
                },
                "workflow": workflow("payment_prepared", "execute_payment"),
            },
        }

    def call(self, session_id: str, **terms: Any) -> bytes:
        """A call of the router's ``pay``."""
        total = self.sessions[session_id]["total"]
        order = {
            "key": keccak(text=session_id),
            "merchant": MERCHANT,
            "token": TOKEN,
            "amount": total - FEE,
            "fee": FEE,
            "feeReceiver": FEE_RECEIVER,
            "deadline": int(self.now) + 600,
            **terms,
        }
        types = [PAY_ORDER, "bytes"]
        return selector(f"pay({PAY_ORDER},bytes)") + encode(
            types, [tuple(order.values()), b"\x01" * 65]
        )

    def proven(self, primary_type: str, body: Any) -> dict[str, str]:
        """The message, if its payer signed it and its nonce is new."""
        message: dict[str, str] = body["message"]
        numbers = ("paymentChainId", "amount", "authorizationExpiresAt")
        typed = {name: int(text) if name in numbers else text for name, text in message.items()}
        signable = Authorization(primary_type, typed, int(message["paymentChainId"])).signable()
        signer = Account.recover_message(signable, signature=HexBytes(body["signature"]))
        assert signer == message["payer"] == PAYER
        assert START <= int(message["authorizationExpiresAt"]) - 3600 <= self.now
        assert message["authorizationNonce"] not in self.nonces
        self.nonces.add(message["authorizationNonce"])
        return message

    # --- the node ---------------------------------------------------------------------------------

    def answer_rpc(self, question: Any) -> Response:
        method, params = question["method"], question["params"]
        try:
            answer = {"result": self.changed(method, self.run(method, params))}
        except Refused as refused:
            answer = {"error": {"code": 3, "message": str(refused)}}
        body = json.dumps({"jsonrpc": "2.0", "id": question["id"], **answer}).encode()
        return Response(200, {}, body)

    def run(self, method: str, params: list[Any]) -> Any:
        match method:
            case "eth_chainId":
                return hex(CHAIN_ID)
            case "eth_getCode":
                return "0x6080" if params[0] in (EXECUTOR, TOKEN) else "0x"
            case "eth_call":
                return "0x" + self.view(params[0]["to"], HexBytes(params[0]["data"])).hex()
            case "eth_estimateGas":
                self.simulate(params[0]["to"], HexBytes(params[0]["data"]))
                return hex(100_000)
            case "eth_gasPrice":
                return hex(30_000_000_000)
            case "eth_getBlockByNumber":
                return {} if self.legacy else {"baseFeePerGas": hex(20_000_000_000)}
            case "eth_getBalance":
                return hex(10**18)
            case "eth_getTransactionCount":
                return hex(len(self.sent))
            case "eth_sendRawTransaction":
                return self.take(bytes.fromhex(params[0][2:]))
            case "eth_getTransactionByHash":
                return {} if params[0] in self.receipts else None
            case "eth_getTransactionReceipt":
                status = self.receipts.get(params[0])
                mined = status is not None and self.mining
                return {"status": hex(status or 0), "blockNumber": "0x1"} if mined else None
        raise AssertionError(method)

    def view(self, to: str, data: bytes) -> bytes:
        if to == EXECUTOR:
            assert data[:4] == selector("paid(bytes32)")
            return int(data[4:] in self.paid).to_bytes(32, "big")
        numbers = {
            selector("decimals()"): self.decimals,
            selector("balanceOf(address)"): self.balance,
            selector("allowance(address,address)"): self.allowed,
        }
        return numbers[data[:4]].to_bytes(32, "big")

    def simulate(self, to: str, data: bytes) -> None:
        if to == TOKEN:
            assert data[:4] == selector("approve(address,uint256)")
            return
        order, _ = decode([PAY_ORDER, "bytes"], data[4:])
        if order[0] in self.paid:
            raise Refused("execution reverted: AlreadyPaid")
        if min(self.allowed, self.balance) < order[3] + order[4]:
            raise Refused("execution reverted")

    def take(self, raw: bytes) -> str:
        """Run a transaction as soon as it arrives."""
        assert Account.recover_transaction(HexBytes(raw)) == PAYER
        signed = {} if self.legacy else TypedTransaction.from_bytes(HexBytes(raw)).as_dict()
        tx_hash = f"0x{keccak(raw).hex()}"
        self.sent.append(signed)
        if self.legacy:
            self.receipts[tx_hash] = 1
            return tx_hash
        assert signed["value"] == 0
        to, data = to_checksum_address(signed["to"]), bytes(signed["data"])
        self.receipts[tx_hash] = int(not (self.failing and to == EXECUTOR))
        if self.receipts[tx_hash]:
            self.apply(to, data)
        return tx_hash

    def apply(self, to: str, data: bytes) -> None:
        self.simulate(to, data)
        if to == TOKEN:
            spender, self.allowed = decode(["address", "uint256"], data[4:])
            assert spender == EXECUTOR.lower()
            return
        order, _ = decode([PAY_ORDER, "bytes"], data[4:])
        self.paid.add(order[0])
        self.balance -= order[3] + order[4]
        self.allowed -= order[3] + order[4]

    def calls(self) -> list[tuple[str, int | None]]:
        """What was sent: approvals with their amount, payments without."""
        found: list[tuple[str, int | None]] = []
        for signed in self.sent:
            is_approval = to_checksum_address(signed["to"]) == TOKEN
            amount = int.from_bytes(bytes(signed["data"])[-32:], "big") if is_approval else None
            found.append(("approve" if is_approval else "pay", amount))
        return found


class Refused(Exception):
    """What the node answers as an error."""


ACTIONS = {
    "session_ready": "prepare_payment",
    "payment_prepared": "execute_payment",
    "payment_submitted": "wait",
    "payment_completed": "none",
    "session_expired": "create_payment_session",
}


def workflow(stage: str, action: str) -> dict[str, Any]:
    return {"stage": stage, "nextAction": {"action": action, "authorizationRequired": True}}


def broken_line(*_: Any) -> Any:
    """A change that stands for no answer."""
    raise GStableConnectionError("Network error: reset")
