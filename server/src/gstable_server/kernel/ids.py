"""One identifier type per noun, each with its prefix, checked once when it is parsed (spec 2)."""

from __future__ import annotations

import re
from typing import ClassVar, Protocol, Self, TypeVar

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class MalformedId(ValueError):
    """The text is not an identifier of the noun that was asked for."""


class Id(str):
    """Text of the form ``<prefix><random part>``; never made of anything a person typed."""

    prefix: ClassVar[str]
    random_length: ClassVar[int]
    _pattern: ClassVar[re.Pattern[str]]

    __slots__ = ()

    def __init_subclass__(cls) -> None:
        # Identifiers issued by the public platform may be longer or shorter than ours: the
        # prefix and the alphabet are checked, the length only bounded.
        cls._pattern = re.compile(re.escape(cls.prefix) + r"[A-Za-z0-9_]{1,64}")

    def __new__(cls, text: str) -> Self:
        if not cls._pattern.fullmatch(text):
            raise MalformedId(f"{cls.__name__} must look like {cls.prefix}…")
        return super().__new__(cls, text)


class ProductId(Id):
    prefix = "prd_"
    random_length = 24


class AccountId(Id):
    prefix = "acc_"
    random_length = 24


class LinkId(Id):
    prefix = "lnk_"
    random_length = 32


class SessionId(Id):
    prefix = "sess_"
    random_length = 32


class WebhookId(Id):
    prefix = "wkid_"
    random_length = 24


class EventId(Id):
    prefix = "evt_"
    random_length = 16


class VersionId(Id):
    prefix = "ver_"
    random_length = 16


class LineItemId(Id):
    prefix = "li_"
    random_length = 16


class ImageId(Id):
    prefix = "img_"
    random_length = 24


class PaymentId(Id):
    """A payment that reached the chain, matched to a session or not."""

    prefix = "pay_"
    random_length = 24


class RefundId(Id):
    """Money that a merchant gives back."""

    prefix = "rfd_"
    random_length = 24


class InflowId(Id):
    """Money that came in and pays nothing as asked."""

    prefix = "inf_"
    random_length = 24


class HoldInstructionId(Id):
    """What the platform was asked to do with a held payment."""

    prefix = "hin_"
    random_length = 24


class ReceiptId(Id):
    prefix = "rcp_"
    random_length = 24


class ClientCode(Id):
    """What the payer's page presents to act on its session (spec 11, code 100202)."""

    prefix = "cc_"
    random_length = 32


class TransferId(Id):
    """A ledger transfer."""

    prefix = "trf_"
    random_length = 24


class ApiKeyId(Id):
    prefix = "key_"
    random_length = 16


class MemberId(Id):
    prefix = "mem_"
    random_length = 16


class LoginId(Id):
    """One browser in which a member signed in; it opens nothing."""

    prefix = "lgn_"
    random_length = 16


class InvitationId(Id):
    prefix = "inv_"
    random_length = 16


class PayoutChangeId(Id):
    """A wallet that waits to become a receiving account."""

    prefix = "pch_"
    random_length = 16


class LimitChangeId(Id):
    """A higher limit of refunds that waits for a second person or its time."""

    prefix = "lch_"
    random_length = 16


class PasskeyId(Id):
    """What the console calls a passkey; it opens nothing."""

    prefix = "pky_"
    random_length = 16


class NoticeId(Id):
    """A letter to a member."""

    prefix = "ntc_"
    random_length = 16


class MerchantId(str):
    """64 lowercase hexadecimal digits, no prefix (spec 2)."""

    __slots__ = ()
    _pattern = re.compile(r"[0-9a-f]{64}")

    def __new__(cls, text: str) -> Self:
        if not cls._pattern.fullmatch(text):
            raise MalformedId("MerchantId must be 64 lowercase hexadecimal digits")
        return super().__new__(cls, text)


I = TypeVar("I", bound=Id)  # noqa: E741


class IdMint(Protocol):
    """Where new identifiers and secrets come from; the only source of randomness."""

    def mint(self, kind: type[I]) -> I:
        """A new identifier of that noun; never the same twice."""

    def merchant_id(self) -> MerchantId:
        """A new merchant identifier."""

    def token(self, length: int) -> str:
        """Unguessable text of ``length`` characters of the identifiers' alphabet."""


def mint_all(ids: IdMint, kind: type[I], count: int) -> list[I]:
    """So many new identifiers, drawn at once: to ask for randomness costs more than to cut it."""
    length = kind.random_length
    letters = ids.token(length * count)
    return [kind(kind.prefix + letters[at : at + length]) for at in range(0, len(letters), length)]


def id_or_none(kind: type[I], text: str) -> I | None:
    """``text`` as that noun's identifier, or None: what has no such form names no object."""
    try:
        return kind(text)
    except MalformedId:
        return None
