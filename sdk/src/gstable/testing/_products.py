"""Products of the catalogue. Source: specification section 3."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gstable.testing._clock import wire_time
from gstable.testing._fields import (
    ATTRIBUTES,
    DESCRIPTION,
    ID,
    NAME,
    UNIT_PRICE,
    URL_LENGTH_MAX,
    Field,
    array,
    blank,
    record,
    require_https,
    text,
    web_address,
    without_none,
)
from gstable.testing._refusals import Refused
from gstable.testing._routes import DONE, Call, Route, ask, get, post
from gstable.testing._world import Page, World, token

IMAGE_URL_LENGTH_MAX = 500


def _short(url: str) -> str | None:
    bound = f"must have at most {IMAGE_URL_LENGTH_MAX} characters"
    return bound if len(url) > IMAGE_URL_LENGTH_MAX else None


_TERMS: dict[str, Field] = {
    "name": NAME,
    "commonPrices": array(UNIT_PRICE, 1, 5),
    "description": DESCRIPTION,
    "imageUrl": blank(text(0, URL_LENGTH_MAX, web_address, _short)),
    "attributes": ATTRIBUTES,
}


@dataclass
class Product:
    """`shown` is what the wire shows. `is_used`: a payment link refers to it."""

    shown: dict[str, object]
    is_used: bool = False
    is_removed: bool = False

    @property
    def is_active(self) -> bool:
        return self.shown["status"] == "active"

    def snapshot(self, *, with_status: bool) -> dict[str, object]:
        """What a line shows of the product."""
        return without_none(
            {
                "productName": self.shown["name"],
                "productDescription": self.shown.get("description"),
                "imageUrl": self.shown.get("imageUrl"),
                "attributes": self.shown["attributes"],
                "status": self.shown["status"] if with_status else None,
            }
        )


class Products:
    """The products under their ids, oldest first."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._all: dict[str, Product] = {}

    def sellable(self, ids: Iterable[str]) -> dict[str, Product]:
        """The products of `ids`, all on sale.

        Raises `Refused`: 100301 none is there, 100302 some are not, 100306 one was removed, 100304
        the only one is archived, 100303 some of several are.
        """
        wanted = list(dict.fromkeys(ids))
        found = {one: self._all[one] for one in wanted if one in self._all}
        missing = [one for one in wanted if one not in found]
        if missing:
            raise Refused(100302 if found else 100301, ", ".join(missing))
        removed = [one for one, product in found.items() if product.is_removed]
        if removed:
            raise Refused(100306, ", ".join(removed))
        archived = [one for one, product in found.items() if not product.is_active]
        if archived:
            raise Refused(100304 if len(found) == 1 else 100303, ", ".join(archived))
        return found

    def shown_as_they_are(self, product_id: str) -> dict[str, object]:
        """What a link shows of a product, whatever became of it."""
        return self._all[product_id].snapshot(with_status=True)

    def routes(self) -> list[Route]:
        one = record(productId=ID)
        return [
            post("/product/create", self._create, record(**_TERMS)),
            post("/product/update", self._update, record(**_TERMS, productId=ID)),
            post("/product/archive", self._archive, one),
            post("/product/unarchive", self._unarchive, one),
            post("/product/remove", self._remove, one),
            get("/product/list/{page}/{size}", self._list),
            ask("/product/list/by/ids", self._by_ids, record(productIds=array(ID, 0, 100))),
        ]

    def _create(self, call: Call) -> object:
        require_https("imageUrl", call.body["imageUrl"])
        product_id = f"prd_{token(24)}"
        created = {"productId": product_id, "createAt": wire_time(self._world.clock.now)}
        product = Product(_shown(call.body, {**created, "status": "active"}))
        self._all[product_id] = product
        self._tell("created", product)
        return product.shown

    def _update(self, call: Call) -> object:
        product = self._require(call)
        require_https("imageUrl", call.body["imageUrl"])
        product.shown = _shown(call.body, product.shown)
        self._tell("updated", product)
        return DONE

    def _archive(self, call: Call) -> object:
        return self._mark(call, "archived", "archived")

    def _unarchive(self, call: Call) -> object:
        return self._mark(call, "active", "unarchived")

    def _mark(self, call: Call, status: str, happened: str) -> object:
        product = self._require(call)
        if product.shown["status"] != status:
            product.shown = {**product.shown, "status": status}
            self._tell(happened, product)
        return DONE

    def _remove(self, call: Call) -> object:
        product = self._require(call)
        if product.is_used:
            raise Refused(100305, "a payment link references it")
        product.is_removed = True
        self._tell("removed", product)
        return DONE

    def _list(self, call: Call) -> object:
        page = Page.of(call.values)
        present = [one.shown for one in reversed(self._all.values()) if not one.is_removed]
        return {
            "total": len(present),
            "page": str(page.number),
            "size": str(page.size),
            "products": page.cut(present),
        }

    def _by_ids(self, call: Call) -> object:
        found = (self._all.get(product_id) for product_id in dict.fromkeys(call.body["productIds"]))
        return [product.shown for product in found if product and not product.is_removed]

    def _require(self, call: Call) -> Product:
        product = self._all.get(call.body["productId"])
        if product is None:
            raise Refused(100301)
        if product.is_removed:
            raise Refused(100306)
        return product

    def _tell(self, happened: str, product: Product) -> None:
        self._world.tell(f"product.{happened}", "product", {"productData": product.shown})


def _shown(terms: Mapping[str, object], kept: Mapping[str, object]) -> dict[str, object]:
    # The platform shows a picture once it has its own copy; the fake has it at once.
    return without_none(
        {
            "productId": kept["productId"],
            "name": terms["name"],
            "description": terms["description"],
            "imageUrl": terms["imageUrl"],
            "status": kept["status"],
            "commonPrices": terms["commonPrices"],
            "attributes": terms["attributes"],
            "createAt": kept["createAt"],
        }
    )
