# Generated from _async/product.py by sdk/scripts/unasync.py. Do not edit.
# isort: skip_file
# fmt: off
"""Products of the catalogue. Source: specification section 3."""

from collections.abc import Iterator, Sequence

from gstable import _parse
from gstable._sync.paging import iterate
from gstable._sync.requester import Requester
from gstable._body import Attributes, body, path, wire_attributes
from gstable._models import OperationResult, Page, Product


class ProductNamespace:
    """`client.product`. Every method raises `GStableError`; see its subclasses for the codes."""

    def __init__(self, requester: Requester) -> None:
        self._requester = requester

    def create(
        self,
        *,
        name: str,
        common_prices: Sequence[int],
        description: str | None = None,
        image_url: str | None = None,
        attributes: Attributes | None = None,
        idempotency_key: str | None = None,
    ) -> Product:
        """Create a product.

        `name`: up to 100 characters. `common_prices`: 1 to 5 prices in Micro-USD.
        `description`: up to 1000 characters. `image_url`: https, is copied by the platform.
        `attributes`: up to 10. Raises `GStableCommonError` 400101 naming the field.
        """
        content = _content(name, common_prices, description, image_url, attributes)
        parse = _parse.one(_parse.product)
        return self._requester.post(
            "/product/create", body(**content), parse, idempotency_key
        )

    def update(
        self,
        product_id: str,
        *,
        name: str,
        common_prices: Sequence[int],
        description: str | None = None,
        image_url: str | None = None,
        attributes: Attributes | None = None,
        idempotency_key: str | None = None,
    ) -> OperationResult:
        """Replace the whole product: what is not given is cleared. Fields as in `create`.

        Raises `GStableProductError` 100301 where there is no such product.
        """
        content = _content(name, common_prices, description, image_url, attributes)
        return self._requester.post(
            "/product/update",
            body(product_id=product_id, **content),
            _parse.one(_parse.operation_result),
            idempotency_key,
        )

    def list(self, page: int = 1, size: int = 20) -> Page[Product]:
        """One page, newest first. `page` from 1; `size` 1 to 100."""
        return self._requester.get(
            path("/product/list/{page}/{size}", page=page, size=size),
            _parse.page_of("products", _parse.product),
        )

    def iterate(self, size: int = 100) -> Iterator[Product]:
        """Every product, newest first, fetched in pages of `size`."""
        return iterate(self.list, lambda product: product.product_id, size)

    def list_by_ids(
        self, product_ids: Sequence[str], *, idempotency_key: str | None = None
    ) -> tuple[Product, ...]:
        """The products with these ids, up to 100; ids that do not exist are left out."""
        return self._requester.post(
            "/product/list/by/ids",
            body(product_ids=product_ids),
            _parse.array_of(_parse.product),
            idempotency_key,
        )

    def archive(
        self, product_id: str, *, idempotency_key: str | None = None
    ) -> OperationResult:
        """Take the product out of use for new links and sessions."""
        return self._operate("/product/archive", product_id, idempotency_key)

    def unarchive(
        self, product_id: str, *, idempotency_key: str | None = None
    ) -> OperationResult:
        """Take an archived product into use again."""
        return self._operate("/product/unarchive", product_id, idempotency_key)

    def remove(
        self, product_id: str, *, idempotency_key: str | None = None
    ) -> OperationResult:
        """Remove it for ever. Raises `GStableProductError` 100305 if a link ever referred to it."""
        return self._operate("/product/remove", product_id, idempotency_key)

    def _operate(
        self, route: str, product_id: str, idempotency_key: str | None
    ) -> OperationResult:
        return self._requester.post(
            route,
            body(product_id=product_id),
            _parse.one(_parse.operation_result),
            idempotency_key,
        )


def _content(
    name: str,
    common_prices: Sequence[int],
    description: str | None,
    image_url: str | None,
    attributes: Attributes | None,
) -> dict[str, object]:
    return {
        "name": name,
        "common_prices": common_prices,
        "description": description,
        "image_url": image_url,
        "attributes": wire_attributes(attributes),
    }
