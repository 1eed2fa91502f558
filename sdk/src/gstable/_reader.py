"""Reads one JSON object field by field; what is missing or of another type is named by its path."""

from collections.abc import Iterator

UINT256_DIGITS = 78


class Malformed(ValueError):
    """An answer without the promised form. Turned into a `GStableError` by whoever asked."""


def is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


class Reader:
    """A view of one JSON object. Unknown fields are never looked at."""

    def __init__(self, value: object, path: str) -> None:
        if not isinstance(value, dict):
            raise Malformed(f"{path} must be an object")
        self._object = value
        self._path = path

    def raw(self, name: str) -> object:
        """Any JSON; None where absent."""
        return self._object.get(name)

    def text(self, name: str) -> str:
        value = self._required(name)
        if not isinstance(value, str):
            raise self._wrong(name, "a string")
        return value

    def text_or_empty(self, name: str) -> str:
        """A text that is not known yet: absent, null and "" mean the same."""
        return self.optional_text(name) or ""

    def optional_text(self, name: str) -> str | None:
        return None if self.raw(name) is None else self.text(name)

    def opaque(self, name: str) -> str:
        """An identifier that some platforms send as a number."""
        value = self._required(name)
        return str(value) if is_integer(value) else self.text(name)

    def integer(self, name: str) -> int:
        value = self._required(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._wrong(name, "an integer")
        return value

    def optional_integer(self, name: str) -> int | None:
        return None if self.raw(name) is None else self.integer(name)

    def decimal(self, name: str) -> int:
        """An integer that travels as a number or as its decimal text."""
        value = self._required(name)
        if not isinstance(value, str):
            return self.integer(name)
        if not value.isascii() or not value.isdigit() or len(value) > UINT256_DIGITS:
            raise self._wrong(name, "a decimal integer")
        return int(value)

    def flag(self, name: str) -> bool:
        """True or false, or 1 or 0."""
        value = self._required(name)
        if value not in (0, 1) or isinstance(value, float):
            raise self._wrong(name, "0 or 1")
        return bool(value)

    def flag_or_false(self, name: str) -> bool:
        return False if self.raw(name) is None else self.flag(name)

    def texts(self, name: str) -> tuple[str, ...]:
        values = self._array(self._required(name), name)
        if not all(isinstance(value, str) for value in values):
            raise self._wrong(name, "an array of strings")
        return tuple(str(value) for value in values)

    def integers(self, name: str) -> tuple[int, ...]:
        values = self._array(self._required(name), name)
        found = tuple(v for v in values if isinstance(v, int) and not isinstance(v, bool))
        if len(found) != len(values):
            raise self._wrong(name, "an array of integers")
        return found

    def child(self, name: str) -> "Reader":
        return Reader(self._required(name), f"{self._path}.{name}")

    def mapping(self, name: str) -> dict[str, object]:
        """An object whose content is the caller's own."""
        value = self._required(name)
        if not isinstance(value, dict):
            raise self._wrong(name, "an object")
        return value

    def optional_mapping(self, name: str) -> dict[str, object] | None:
        return None if self.raw(name) is None else self.mapping(name)

    def optional_child(self, name: str) -> "Reader | None":
        return None if self.raw(name) is None else self.child(name)

    def children(self, name: str) -> "tuple[Reader, ...]":
        return readers(self._required(name), f"{self._path}.{name}")

    def children_or_none(self, name: str) -> "tuple[Reader, ...]":
        """An array that may be absent."""
        return () if self.raw(name) is None else self.children(name)

    def entries(self) -> Iterator[str]:
        """The names in this object, for maps whose keys are data."""
        return iter(self._object)

    def _array(self, value: object, name: str) -> list[object]:
        if not isinstance(value, list):
            raise self._wrong(name, "an array")
        return value

    def _required(self, name: str) -> object:
        value = self._object.get(name)
        if value is None:
            raise Malformed(f"{self._path}.{name} is missing")
        return value

    def _wrong(self, name: str, expected: str) -> Malformed:
        return Malformed(f"{self._path}.{name} must be {expected}")


def readers(value: object, path: str) -> tuple[Reader, ...]:
    """A reader for each object of an array."""
    if not isinstance(value, list):
        raise Malformed(f"{path} must be an array")
    return tuple(Reader(item, f"{path}[{index}]") for index, item in enumerate(value))
