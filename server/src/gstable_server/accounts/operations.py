"""What can be done with merchants, receiving accounts and API keys.

Accounts are changed in the dashboard only; the merchant API reads them (spec 4).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from gstable_server.accounts import store, wire
from gstable_server.accounts.model import (
    ACCOUNTS_MAX,
    ARCHIVED_SHOWN,
    KEY_RANDOM_LENGTH,
    UNLIMITED,
    ApiKey,
    KeyLimits,
    KeyUse,
    Merchant,
    ReceivingAccount,
    is_key_form,
    key_hint,
    key_prefix,
    name_from_text,
)
from gstable_server.chain.checksum import address_from_text
from gstable_server.chain.networks import Networks
from gstable_server.kernel.address import ZERO_ADDRESS, Address
from gstable_server.kernel.errors import Code, Refused, invalid_field
from gstable_server.kernel.ids import AccountId, ApiKeyId, MerchantId, VersionId
from gstable_server.kernel.scopes import is_scope
from gstable_server.kernel.tenant import Access, Caller, Mode, Tenant
from gstable_server.plumbing.db import Tx
from gstable_server.plumbing.events import Event

BUILT_IN_MAX = 0xFFFF
"""Addresses up to here are, or may become, functions that are built into the networks."""
NOBODYS = frozenset(
    Address(bytes.fromhex(text))
    for text in (
        "000000000000000000000000000000000000dead",
        "dead000000000000000042069420694206942069",
        "ff" * 20,
        "ee" * 20,
    )
)
"""Where coins are sent to be lost, and what stands for a network's own coin in many programs."""


async def create_merchant(tx: Tx, name: str) -> Merchant:
    """A new merchant. Raises ``Refused`` (400101) for an unusable name."""
    merchant = Merchant(tx.ids.merchant_id(), name_from_text("name", name))
    await store.insert_merchant(tx, merchant)
    return merchant


async def merchant(tx: Tx, merchant_id: MerchantId) -> Merchant:
    """The merchant, which exists: merchants are never removed."""
    found = await store.find_merchant(tx, merchant_id)
    assert found is not None, "an id of a merchant is only ever taken from a row"
    return found


async def is_first_merchant(tx: Tx, merchant_id: MerchantId) -> bool:
    """Whether it is the one that was made at the first run: whoever runs the installation."""
    return await store.first_merchant(tx) == merchant_id


async def rename_merchant(tx: Tx, merchant_id: MerchantId, name: str) -> tuple[Merchant, Merchant]:
    """Call the merchant otherwise; before and after. Raises ``Refused`` (400101) naming
    ``name``."""
    renamed = Merchant(merchant_id, name_from_text("name", name))
    await store.lock_merchant(tx, merchant_id)
    before = await merchant(tx, merchant_id)
    await store.rename_merchant(tx, renamed)
    return before, renamed


async def create_account(
    tx: Tx, tenant: Tenant, networks: Networks, name: str, address_text: str
) -> ReceivingAccount:
    """A new receiving account; tells ``account.created``.

    Raises ``Refused``: 400101 naming ``accountName`` or ``accountAddress``, 100402 at 20 accounts.
    """
    account_name, address = parse_account(networks, name, address_text)
    await store.lock_merchant(tx, tenant.merchant_id)
    if await store.count_accounts(tx, tenant) >= ACCOUNTS_MAX:
        raise Refused(Code.ACCOUNT_LIMIT, f"a merchant has at most {ACCOUNTS_MAX}")
    account = ReceivingAccount(
        account_id=tx.mint(AccountId),
        tenant=tenant,
        name=account_name,
        address=address,
        version=tx.mint(VersionId),
        created_at=tx.now,
        updated_at=tx.now,
        removed_at=None,
    )
    await store.insert_account(tx, account)
    _tell(tx, "account.created", account, networks)
    return account


def parse_account(networks: Networks, name: str, address_text: str) -> tuple[str, Address]:
    """Name and wallet of an account to be. Raises ``Refused`` (400101) naming ``accountName`` or
    ``accountAddress``."""
    return name_from_text("accountName", name), _payable_address(networks, address_text)


async def has_had_account(tx: Tx, tenant: Tenant) -> bool:
    """Whether there is or was any account; others who ask take turns until the transaction ends."""
    await store.lock_merchant(tx, tenant.merchant_id)
    return await store.has_had_account(tx, tenant)


def _payable_address(networks: Networks, text: str) -> Address:
    """An address that money can be sent to without being lost (EIP-55, spec 4)."""
    try:
        address = address_from_text(text.strip())
    except ValueError as problem:
        raise invalid_field("accountAddress", str(problem)) from None
    if address == ZERO_ADDRESS:
        raise invalid_field("accountAddress", "must not be the zero address")
    if address in _contracts(networks):
        raise invalid_field("accountAddress", "must not be a token's or the router's contract")
    if int.from_bytes(address) <= BUILT_IN_MAX or address in NOBODYS:
        raise invalid_field("accountAddress", "must not be an address that nobody holds")
    return address


def _contracts(networks: Networks) -> set[Address]:
    """Everything that the configuration names beside wallets."""
    found: set[Address] = set()
    for network in networks.all:
        found |= {network.router, *(token.address for token in network.tokens)}
        found |= {one.address for one in network.contracts.configured.values()}
        found |= {one for one in (network.permit2, network.x402.permit2_proxy) if one is not None}
    return found


def _tell(tx: Tx, event_type: str, account: ReceivingAccount, networks: Networks) -> None:
    tx.tell(
        Event(
            type=event_type,
            object_id=account.account_id,
            payload={"accountData": wire.render(account, networks)},
            tenant=account.tenant,
            business_type="account",
        )
    )


async def list_accounts(tx: Tx, tenant: Tenant) -> list[ReceivingAccount]:
    """The accounts that were not removed, newest first."""
    return await store.list_accounts(tx, tenant)


async def archived(tx: Tx, tenant: Tenant) -> list[ReceivingAccount]:
    """Accounts that were taken out of use, without those whose wallet is in use by another account
    by now; the one that was taken out last first."""
    return await store.list_archived(tx, tenant, ARCHIVED_SHOWN)


async def owners_of(tx: Tx, address: Address, mode: Mode) -> list[MerchantId]:
    """The merchants that are, or were, paid to that wallet in that mode."""
    return await store.owners_of(tx, address, mode)


async def require_account(tx: Tx, tenant: Tenant, account_id: AccountId) -> ReceivingAccount:
    """The account. Raises ``Refused``: 100401, or 100403 if it has been removed."""
    return _present(await store.find_account(tx, tenant, account_id))


def _present(account: ReceivingAccount | None) -> ReceivingAccount:
    if account is None:
        raise Refused(Code.ACCOUNT_NOT_FOUND)
    if account.removed_at is not None:
        raise Refused(Code.ACCOUNT_REMOVED)
    return account


async def rename_account(
    tx: Tx, tenant: Tenant, networks: Networks, account_id: AccountId, name: str
) -> ReceivingAccount:
    """Give the account another alias; tells ``account.updated``. Its address never changes."""
    account_name = name_from_text("accountName", name)
    account = _present(await store.find_account(tx, tenant, account_id, lock=True))
    renamed = replace(account, name=account_name, updated_at=tx.now)
    await store.update_account(tx, renamed)
    _tell(tx, "account.updated", renamed, networks)
    return renamed


async def remove_account(
    tx: Tx, tenant: Tenant, networks: Networks, account_id: AccountId
) -> ReceivingAccount:
    """Take the account out of use; tells ``account.removed``.

    Sessions that were opened with it still pay its address: they keep their own copy.
    """
    account = _present(await store.find_account(tx, tenant, account_id, lock=True))
    removed = replace(account, updated_at=tx.now, removed_at=tx.now)
    await store.update_account(tx, removed)
    _tell(tx, "account.removed", removed, networks)
    return removed


async def issue_key(
    tx: Tx, tenant: Tenant, access: Access, name: str, limits: KeyLimits = UNLIMITED
) -> tuple[ApiKey, str]:
    """A new API key and its secret, which is shown this once and kept only as a hash.

    Raises ``Refused`` (400101) naming ``name`` or ``scopes``.
    """
    if limits.scopes is not None and not all(map(is_scope, limits.scopes)):
        raise invalid_field("scopes", "must be of the kinds that are offered")
    key_name = name_from_text("name", name)
    secret = key_prefix(tenant.mode, access) + tx.ids.token(KEY_RANDOM_LENGTH)
    key = ApiKey(
        key_id=tx.mint(ApiKeyId),
        tenant=tenant,
        access=access,
        name=key_name,
        hint=key_hint(secret),
        created_at=tx.now,
        revoked_at=None,
        limits=limits,
    )
    await store.insert_key(tx, key, _hashed(secret))
    return key, secret


async def list_keys(tx: Tx, tenant: Tenant) -> list[ApiKey]:
    """All keys, revoked ones too, newest first."""
    return await store.list_keys(tx, tenant)


async def revoke_key(tx: Tx, tenant: Tenant, key_id: ApiKeyId) -> bool:
    """End a key for good. False if there is no such key or it was revoked before."""
    return await store.revoke_key(tx, tenant, key_id)


async def note_key_uses(tx: Tx, uses: Mapping[ApiKeyId, str]) -> None:
    """Keys were used just now, each from that address."""
    await store.write_key_uses(tx, uses)


async def last_uses(tx: Tx, tenant: Tenant) -> dict[ApiKeyId, KeyUse]:
    """When and from where each key was used last, of those that were; a minute may be missing."""
    return await store.key_uses(tx, tenant)


async def authenticate(tx: Tx, secret: str) -> Caller:
    """Whose key ``secret`` is. Raises ``Refused``: 200101, or 200103 if it is revoked or over."""
    key = await store.find_key(tx, _hashed(secret)) if is_key_form(secret) else None
    if key is None:
        raise Refused(Code.KEY_INVALID)
    if key.revoked_at is not None:
        raise Refused(Code.KEY_REVOKED)
    limits = key.limits
    if limits.expires_at is not None and limits.expires_at <= tx.now:
        raise Refused(Code.KEY_REVOKED, "its time is over")
    return Caller(key.tenant, key.key_id, key.access, limits.scopes, limits.addresses)


def _hashed(secret: str) -> bytes:
    # A fast hash is enough: 40 random characters cannot be guessed, unlike a person's password.
    return hashlib.sha256(secret.encode()).digest()
