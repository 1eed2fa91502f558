"""Checkout sessions over the API. Source: specification section 6."""

from collections.abc import Iterator, Mapping
from typing import Any

from gstable.testing._accounts import Accounts
from gstable.testing._clock import wire_time
from gstable.testing._fields import (
    ATTRIBUTES,
    DESCRIPTION,
    FLAG,
    ID,
    NAME,
    OPTIONAL_URL,
    QUANTITY,
    TOTAL_MAX,
    UNIT_PRICE,
    absent,
    array,
    choice,
    integer,
    left_out,
    record,
    require_https,
    storable,
    tagged,
    text,
    without_none,
)
from gstable.testing._links import Links, total_of
from gstable.testing._products import Products
from gstable.testing._refusals import Refused, invalid
from gstable.testing._routes import DONE, Call, Route, get, post
from gstable.testing._session import Session
from gstable.testing._tokens import require_payable, settlement_token
from gstable.testing._world import Page, World, packed, token, tx_hash

LIFETIME_SECONDS = 1800
LIFETIME_MAX_SECONDS = 7 * 86_400
LISTS = {
    "all": None,
    "paid": "paid",
    "settling": "settling",
    "completed": "completed",
    "cancelled": "cancelled",
    "settlement/pending": "settlement_pending",
}
NOT_CANCELLABLE = {
    "paid": 100204,
    "settling": 100209,
    "settlement_pending": 100209,
    "completed": 100209,
    "expired": 100203,
    "cancelled": 100205,
}
METADATA_KEYS_MAX = 50
METADATA_KEY_LENGTH_MAX = 40
METADATA_BYTES_MAX = 8 * 1024


def _metadata(value: object, at: str) -> object:
    if not isinstance(value, dict):
        raise invalid(at, "must be an object")
    if len(value) > METADATA_KEYS_MAX:
        raise invalid(at, f"must have at most {METADATA_KEYS_MAX} keys")
    if any(len(key) > METADATA_KEY_LENGTH_MAX for key in value):
        raise invalid(at, f"keys must have at most {METADATA_KEY_LENGTH_MAX} characters")
    for found in _texts(value):
        if problem := storable(found):
            raise invalid(at, problem)
    return value


def _texts(value: object) -> Iterator[str]:
    """Every text in it, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


_CREATE = record(
    accountId=ID,
    settlementToken=text(1, 64),
    lineItems=array(
        tagged(
            "itemType",
            product=record(
                itemType=choice("product"), productId=ID, quantity=QUANTITY, unitPrice=UNIT_PRICE
            ),
            one_time=record(
                itemType=choice("one_time"),
                quantity=QUANTITY,
                unitPrice=UNIT_PRICE,
                productData=record(
                    productName=NAME,
                    productDescription=DESCRIPTION,
                    imageUrl=OPTIONAL_URL,
                    attributes=ATTRIBUTES,
                ),
            ),
        ),
        1,
        100,
    ),
    successUrl=OPTIONAL_URL,
    payerEmailRequired=FLAG,
    feeModel=left_out(integer(1, 2), 1),
    expirationTime=absent(integer(-(2**63), 2**63 - 1)),
    metadata=absent(_metadata),
    captureMethod=left_out(choice("automatic", "manual"), "automatic"),
)


class Sessions:
    """The sessions under their ids, oldest first."""

    def __init__(self, world: World, accounts: Accounts, products: Products, links: Links) -> None:
        self._world = world
        self._accounts = accounts
        self._products = products
        self._links = links
        self.all: dict[str, Session] = {}
        self.refunds_of: dict[str, list[dict[str, Any]]] = {}

    def require(self, session_id: str) -> Session:
        """Raises `Refused` 100201."""
        if session_id not in self.all:
            raise Refused(100201)
        return self.all[session_id]

    def open_link(self, link_id: str, amount: int | None, quantities: Mapping[str, int]) -> Session:
        """What a payer does at a link's page. `amount`: Micro-USD, for custom links only;
        `quantities`: by line item id."""
        link = self._links.require_open(link_id)
        wanted = link.with_quantities(quantities)
        if (link.head["linkType"] == "custom") != (amount is not None):
            raise invalid("amount", "is for links with a custom amount, and needed there")
        lines = [self._of_catalogue(line) for line in wanted]
        if amount is not None and len(lines) == 1 and lines[0]["quantity"] == 1:
            lines[0]["unitPrice"] = amount
        terms = {**link.head, "expirationTime": None, "metadata": None}
        kind = {"sessionType": "payment_link", "businessType": "payment_link"}
        own = {**kind, "businessId": link_id, "captureMethod": "automatic"}
        total = total_of(wanted) if amount is None else amount
        return self._open({**terms, **own}, lines, total)

    def tell(self, happened: str, session: Session, **more: object) -> None:
        """Tell what became of a session, as it is now."""
        self._world.tell(f"session.{happened}", "session", {**session.letter(), **more})

    def routes(self) -> list[Route]:
        return [
            post("/session/checkout/create", self._create, _CREATE),
            post("/session/checkout/cancel", self._cancel, record(sessionId=ID)),
            *(get(f"/session/list/{name}/{{page}}/{{size}}", self._list(LISTS[name]))
              for name in LISTS),
            get("/session/{sessionId}", self._detail),
        ]  # fmt: skip

    def _create(self, call: Call) -> object:
        terms = call.body
        self._require_lifetime(terms["expirationTime"])
        if len(packed(terms["metadata"])) > METADATA_BYTES_MAX:
            raise invalid("metadata", f"must have at most {METADATA_BYTES_MAX} bytes")
        require_https("successUrl", terms["successUrl"])
        self._accounts.require(terms["accountId"])
        lines = self._lines(terms["lineItems"])
        total = sum(line["quantity"] * line["unitPrice"] for line in lines)
        if total > TOTAL_MAX:
            raise invalid("lineItems", f"must total at most {TOTAL_MAX} Micro-USD")
        kind = {"sessionType": "checkout", "businessType": "checkout_session"}
        return self._open({**terms, **kind, "businessId": None}, lines, total).shown()

    def _open(self, terms: Mapping[str, Any], lines: list[dict[str, Any]], amount: int) -> Session:
        settlement = settlement_token(terms["settlementToken"])
        require_payable(amount)
        now = self._world.clock.now
        session_id = f"sess_{token(32)}"
        fixed = {
            "sessionId": session_id,
            "sessionType": terms["sessionType"],
            "businessId": terms["businessId"] or session_id,
            "businessType": terms["businessType"],
            "clientCode": f"cc_{token(32)}",
            "payerEmail": "",
            "payerEmailRequired": terms["payerEmailRequired"],
            "receiptId": "",
            "recipient": self._accounts.require(terms["accountId"])["accountAddress"],
            "settlementToken": settlement.token_id,
            "feeModel": terms["feeModel"],
            "amount": amount,
            "lineItems": {"items": [{"lineItemId": f"li_{token(16)}", **one} for one in lines]},
            "expirationTime": terms["expirationTime"] or now + LIFETIME_SECONDS,
            "successUrl": terms.get("successUrl"),
            "paymentUrl": f"{self._world.public_url}/pay/{session_id}",
            "createAt": wire_time(now),
            "metadata": terms["metadata"],
            "captureMethod": terms["captureMethod"],
        }
        session = Session(without_none(fixed), order_id=tx_hash())
        self.all[session_id] = session
        self.tell("created", session)
        return session

    def _lines(self, wanted: list[dict[str, Any]]) -> list[dict[str, Any]]:
        self._products.sellable(line["productId"] for line in wanted if "productId" in line)
        lines = []
        for position, line in enumerate(wanted):
            if "productId" in line:
                lines.append(self._of_catalogue(line))
            else:
                url = line["productData"]["imageUrl"]
                require_https(f"lineItems[{position}].productData.imageUrl", url)
                lines.append({**line, "productData": without_none(line["productData"])})
        return lines

    def _of_catalogue(self, line: Mapping[str, Any]) -> dict[str, Any]:
        [product] = self._products.sellable([line["productId"]]).values()
        own = ("lineItemId", "adjustableQuantity")
        fresh = {name: value for name, value in line.items() if name not in own}
        return {**fresh, "productData": product.snapshot(with_status=False)}

    def _require_lifetime(self, expires_at: int | None) -> None:
        if expires_at is None:
            return
        ahead = expires_at - self._world.clock.now
        if not LIFETIME_SECONDS <= ahead <= LIFETIME_MAX_SECONDS:
            bounds = f"{LIFETIME_SECONDS} and {LIFETIME_MAX_SECONDS}"
            raise invalid(
                "expirationTime", f"must be between {bounds} seconds ahead, in Unix seconds"
            )

    def _cancel(self, call: Call) -> object:
        session = self.require(call.body["sessionId"])
        if session.status != "initialized":
            raise Refused(NOT_CANCELLABLE[session.status])
        session.status = "cancelled"
        self.tell("cancelled", session)
        return DONE

    def _list(self, status: str | None) -> Any:
        def handler(call: Call) -> object:
            page = Page.of(call.values)
            found = [
                session.detail()
                for session in reversed(self.all.values())
                if status in (None, session.status)
            ]
            cut = page.cut(found)
            return {
                "total": len(found),
                "page": page.number,
                "size": page.size,
                "sessions": cut,
            }

        return handler

    def _detail(self, call: Call) -> object:
        session = self.require(call.values["sessionId"])
        detail = session.detail()
        if refunds := self.refunds_of.get(session.session_id):
            detail["session"] = {**session.shown(), "refunds": refunds}
        return detail
