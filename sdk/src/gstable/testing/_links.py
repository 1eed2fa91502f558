"""Payment links. Source: specification section 5."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gstable.testing._accounts import Accounts
from gstable.testing._clock import wire_time
from gstable.testing._fields import (
    FLAG,
    ID,
    NAME,
    OPTIONAL_URL,
    PRICE_MAX,
    QUANTITY,
    SHORT_TEXT,
    TOTAL_MAX,
    Field,
    absent,
    array,
    choice,
    integer,
    record,
    require_https,
    text,
    without_none,
)
from gstable.testing._products import Products
from gstable.testing._refusals import Refused, invalid
from gstable.testing._routes import DONE, Call, Route, get, post
from gstable.testing._tokens import settlement_token
from gstable.testing._world import Page, World, token

_TERMS: dict[str, Field] = {
    "linkType": choice("fixed", "custom"),
    "linkName": NAME,
    "accountId": ID,
    "settlementToken": text(0, 64),
    "feeModel": integer(1, 2),
    "lineItems": array(
        record(
            itemType=choice("product", "user_priced"),
            productId=ID,
            quantity=QUANTITY,
            unitPrice=absent(integer(0, PRICE_MAX)),
            adjustableQuantity=absent(record(minimum=QUANTITY, maximum=QUANTITY)),
        ),
        1,
        100,
    ),
    "payerEmailRequired": FLAG,
    "successUrl": OPTIONAL_URL,
    "customSuccessText": SHORT_TEXT,
    "customDisabledText": SHORT_TEXT,
}
Lines = list[dict[str, Any]]


@dataclass
class Link:
    """`head` is what the wire shows but for the lines, which show their products as they are."""

    head: dict[str, Any]
    lines: Lines

    def with_quantities(self, chosen: Mapping[str, int]) -> Lines:
        """The lines as one payer wants them. Raises `Refused` 400101 naming the line's quantity."""
        if not chosen.keys() <= {line["lineItemId"] for line in self.lines}:
            raise invalid("lineItems", "were changed since; read the link again")
        return [
            _chosen(line, chosen.get(line["lineItemId"]), f"lineItems[{position}].quantity")
            for position, line in enumerate(self.lines)
        ]


class Links:
    """The links under their ids, oldest first."""

    def __init__(self, world: World, accounts: Accounts, products: Products) -> None:
        self._world = world
        self._accounts = accounts
        self._products = products
        self._all: dict[str, Link] = {}

    def require_open(self, link_id: str) -> Link:
        """The link if a payer may open a session from it. Raises `Refused` 100101, 100103, and as
        the products do."""
        link = self._require(link_id)
        if link.head["status"] != "active":
            raise Refused(100103)
        self._products.sellable(line["productId"] for line in link.lines)
        return link

    def routes(self) -> list[Route]:
        one = record(linkId=ID)
        return [
            post("/payment/link/create", self._create, record(**_TERMS)),
            post("/payment/link/update", self._update, record(**_TERMS, linkId=ID)),
            post("/payment/link/disable", self._disable, one),
            post("/payment/link/enable", self._enable, one),
            get("/payment/link/list/{page}/{size}", self._list),
            get("/payment/link/{linkId}", self._detail),
        ]

    def _create(self, call: Call) -> object:
        link_id = f"lnk_{token(32)}"
        now = wire_time(self._world.clock.now)
        link = self._drafted(call.body, {"linkId": link_id, "status": "active", "createAt": now})
        self._all[link_id] = link
        self._tell("created", link)
        shown = self._shown(link)
        # The documented answer nests the lines once more and adds the amount.
        lines = {"lineItems": shown["lineItems"], "amount": shown["amount"]}
        return {**shown, "lineItems": {**shown["lineItems"], **lines}}

    def _update(self, call: Call) -> object:
        _require_shape(call.body)
        old = self._require(call.body["linkId"])
        link = self._drafted(call.body, old.head)
        self._all[link.head["linkId"]] = link
        self._tell("updated", link)
        return DONE

    def _disable(self, call: Call) -> object:
        return self._switch(call, "inactive", "disabled")

    def _enable(self, call: Call) -> object:
        return self._switch(call, "active", "enabled")

    def _switch(self, call: Call, status: str, happened: str) -> object:
        link = self._require(call.body["linkId"])
        if link.head["status"] != status:
            now = wire_time(self._world.clock.now)
            link.head = {**link.head, "status": status, "updateAt": now}
            self._tell(happened, link)
        return DONE

    def _list(self, call: Call) -> object:
        page = Page.of(call.values)
        listed = [
            {**self._beside(link), "lineItems": {"items": link.lines}}
            for link in reversed(self._all.values())
        ]
        return {
            "links": page.cut(listed),
            "total": len(listed),
            "page": str(page.number),
            "size": str(page.size),
        }

    def _detail(self, call: Call) -> object:
        return self._shown(self._require(call.values["linkId"]))

    def _require(self, link_id: str) -> Link:
        if link_id not in self._all:
            raise Refused(100101)
        return self._all[link_id]

    def _drafted(self, terms: Mapping[str, Any], kept: Mapping[str, object]) -> Link:
        lines = _require_shape(terms)
        self._accounts.require(terms["accountId"])
        settlement_token(terms["settlementToken"])
        for product in self._products.sellable(line["productId"] for line in lines).values():
            product.is_used = True
        head = without_none(
            {
                **{name: value for name, value in terms.items() if name != "lineItems"},
                "amount": total_of(lines),
                "linkId": kept["linkId"],
                "linkUrl": f"{self._world.public_url}/link/{kept['linkId']}",
                "status": kept["status"],
                "versionCode": f"ver_{token(16)}",
                "createAt": kept["createAt"],
                "updateAt": wire_time(self._world.clock.now),
            }
        )
        return Link(head, [{"lineItemId": f"li_{token(16)}", **line} for line in lines])

    def _shown(self, link: Link) -> dict[str, Any]:
        items = [
            {**line, "productData": self._products.shown_as_they_are(line["productId"])}
            for line in link.lines
        ]
        return {**self._beside(link), "lineItems": {"items": items}}

    def _beside(self, link: Link) -> dict[str, Any]:
        account = self._accounts.find(link.head["accountId"]) or {}
        return without_none(
            {
                **link.head,
                "accountName": account.get("accountName"),
                "accountAddress": account.get("accountAddress"),
                "settlementTokenInfo": settlement_token(link.head["settlementToken"]).shown(),
            }
        )

    def _tell(self, happened: str, link: Link) -> None:
        payload = {"linkData": self._shown(link)}
        self._world.tell(f"payment.link.{happened}", "payment_link", payload)


def total_of(lines: Lines) -> int:
    """The sum of quantity times price, in Micro-USD."""
    return sum(line["quantity"] * line.get("unitPrice", 0) for line in lines)


def _chosen(line: dict[str, Any], wanted: int | None, at: str) -> dict[str, Any]:
    if wanted is None or wanted == line["quantity"]:
        return line
    if "adjustableQuantity" not in line:
        raise invalid(at, f"must be {line['quantity']}")
    bounds = line["adjustableQuantity"]
    if not bounds["minimum"] <= wanted <= bounds["maximum"]:
        raise invalid(at, f"must be between {bounds['minimum']} and {bounds['maximum']}")
    return {**line, "quantity": wanted}


def _dearest(line: Mapping[str, Any]) -> int:
    """The most that a payer may make a line come to."""
    most: int = line.get("adjustableQuantity", {}).get("maximum", line["quantity"])
    price: int = line.get("unitPrice", 0)
    return most * price


def _require_shape(terms: Mapping[str, Any]) -> Lines:
    """The lines, if all is right that can be judged before anything is looked up."""
    lines = [
        _line(line, terms["linkType"] == "custom", f"lineItems[{position}]")
        for position, line in enumerate(terms["lineItems"])
    ]
    require_https("successUrl", terms["successUrl"])
    if sum(_dearest(line) for line in lines) > TOTAL_MAX:
        raise invalid("lineItems", f"must come to at most {TOTAL_MAX} Micro-USD")
    return lines


def _line(line: dict[str, Any], is_custom: bool, at: str) -> dict[str, Any]:
    kind = "user_priced" if is_custom else "product"
    if line["itemType"] != kind:
        where = "custom" if is_custom else "fixed"
        raise invalid(f"{at}.itemType", f"must be {kind} in a {where} link")
    if is_custom:
        if line["unitPrice"]:
            raise invalid(f"{at}.unitPrice", "must be left out or 0 in a custom link")
        if line["adjustableQuantity"]:
            raise invalid(f"{at}.adjustableQuantity", "must be left out in a custom link")
        return without_none({**line, "unitPrice": None})
    if not line["unitPrice"]:
        raise invalid(f"{at}.unitPrice", f"must be between 1 and {PRICE_MAX} in a fixed link")
    if line["adjustableQuantity"]:
        _require_range(line["adjustableQuantity"], line["quantity"], at)
    return without_none(line)


def _require_range(adjustable: Mapping[str, int], quantity: int, at: str) -> None:
    lowest, highest = adjustable["minimum"], adjustable["maximum"]
    if lowest >= highest:
        raise invalid(f"{at}.adjustableQuantity.maximum", "must be above the minimum")
    if not lowest <= quantity <= highest:
        raise invalid(
            f"{at}.quantity", f"must be between {lowest} and {highest}, as adjustableQuantity says"
        )
