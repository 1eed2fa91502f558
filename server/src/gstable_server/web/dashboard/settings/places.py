"""The addresses of the business, its accounts and keys, its looks and the installation's health."""

from __future__ import annotations

from gstable_server.kernel.roles import Action
from gstable_server.web.dashboard.place import Place, Rows
from gstable_server.web.dashboard.settings.accounts import Accounts
from gstable_server.web.dashboard.settings.branding import UPLOAD_BYTES_MAX, BrandingPage
from gstable_server.web.dashboard.settings.business import Business
from gstable_server.web.dashboard.settings.health import HealthPage
from gstable_server.web.dashboard.settings.keys import Keys
from gstable_server.web.dashboard.settings.ownership import Ownership


def settings(rows: Rows) -> list[Place]:
    """The business, its accounts and keys, its looks, and the installation's health."""
    accounts, keys, branding = Accounts(rows.guard), Keys(rows.guard), BrandingPage(rows.guard)
    ownership = Ownership(rows.guard)
    business, health = Business(rows.guard), HealthPage(rows.guard)
    change, brand = Action.ACCOUNTS_CHANGE, Action.BRANDING_CHANGE
    return [
        rows.look("/accounts", Action.ACCOUNTS_READ, accounts.list),
        rows.act("/accounts", change, accounts.create),
        rows.act("/payouts/{change_id}/cancel", Action.PAYOUTS_CANCEL, accounts.cancel_change),
        rows.look("/accounts/{account_id}", Action.ACCOUNTS_READ, accounts.detail),
        rows.act("/accounts/{account_id}", change, accounts.rename),
        rows.act("/accounts/{account_id}/restore", change, accounts.restore),
        rows.look("/accounts/{account_id}/proof", change, ownership.choose),
        rows.act("/accounts/{account_id}/proof/begin", change, ownership.begin),
        rows.act("/accounts/{account_id}/proof", change, ownership.answer),
        rows.look("/accounts/{account_id}/remove", change, accounts.confirm_removal),
        rows.act("/accounts/{account_id}/remove", change, accounts.remove),
        rows.look("/branding", Action.BRANDING_READ, branding.show),
        rows.look("/keys", Action.KEYS_READ, keys.list),
        rows.act("/keys", Action.KEYS_CHANGE, keys.create),
        rows.look("/keys/{key_id}/revoke", Action.KEYS_CHANGE, keys.confirm_revocation),
        rows.act("/keys/{key_id}/revoke", Action.KEYS_CHANGE, keys.revoke),
        rows.upload("/branding", brand, branding.save, UPLOAD_BYTES_MAX),
        rows.upload("/branding/preview", brand, branding.preview, UPLOAD_BYTES_MAX),
        rows.look("/health", Action.HEALTH_READ, health.show),
        rows.look("/settings", Action.SETTINGS_READ, business.show),
        rows.act("/settings", Action.SETTINGS_CHANGE, business.save),
        rows.act("/settings/general", Action.SETTINGS_CHANGE, business.rename),
        rows.act("/settings/letter", Action.SETTINGS_CHANGE, business.send_letter),
    ]
