"""``gstable doctor``: looks at what a server is configured with, and says what it found."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from pydantic import SecretStr
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gstable_server.chain.checksum import address_from_text
from gstable_server.chain.configuration import ConfigurationError
from gstable_server.chain.doctor.network import examine
from gstable_server.chain.doctor.report import Accounts, Finding, Outcome
from gstable_server.chain.keys import address_of_key, private_key_from_hex
from gstable_server.chain.networks import Networks
from gstable_server.chain.networks_toml import load_networks
from gstable_server.kernel.address import Address
from gstable_server.plumbing.config import DoctorSettings

COLOURS = {
    Outcome.OK: "green",
    Outcome.WARNING: "yellow",
    Outcome.FAILED: "red",
    Outcome.UNKNOWN: "dim",
}


async def network(name: str, file: Path | None, holders: list[str], *, as_json: bool) -> bool:
    """Probe one network, print what was found, and say whether nothing failed.

    ``holders`` are texts ``token id=address``. Raises ``ConfigurationError``.
    """
    settings = DoctorSettings()
    networks = load_networks(file or settings.networks_file)
    found = networks.find_network(name)
    if found is None:
        known = ", ".join(each.name for each in networks.all)
        raise ConfigurationError(f"no network is called {name}; there are {known}")
    findings = await examine(found, _accounts(settings, networks, holders))
    if as_json:
        print(json.dumps({"network": name, "findings": [asdict(each) for each in findings]}))
    else:
        _show(name, findings)
    return all(each.outcome is not Outcome.FAILED for each in findings)


def _accounts(settings: DoctorSettings, networks: Networks, holders: list[str]) -> Accounts:
    return Accounts(
        order_signer=_account(settings.order_signing_key),
        relayer=_account(settings.relayer_key),
        solver=_account(settings.solver_key),
        attestor=_account(settings.attestor_key),
        holders=dict(_holder(networks, text) for text in holders),
    )


def _account(key: SecretStr | None) -> Address | None:
    return address_of_key(private_key_from_hex(key.get_secret_value())) if key else None


def _holder(networks: Networks, text: str) -> tuple[str, Address]:
    token_id, _, address_text = text.partition("=")
    if all(token.token_id != token_id for one in networks.all for token in one.tokens):
        raise ConfigurationError(f"--holder {text[:100]}: no token is called {token_id[:64]!r}")
    try:
        return token_id, address_from_text(address_text)
    except ValueError as failure:
        raise ConfigurationError(f"--holder {text[:100]}: the address {failure}") from failure


def _show(name: str, findings: list[Finding]) -> None:
    table = Table("what", "check", "", "found", title=f"Network {name}", box=None)
    for each in findings:
        colour = COLOURS[each.outcome]
        mark = f"[{colour}]{each.outcome}[/{colour}]"
        # What a node says must not be read as markup, or move the cursor.
        found = each.found if each.found.isprintable() else repr(each.found)
        table.add_row(each.subject, each.check, mark, escape(found))
    console = Console(highlight=False)
    console.print(table)
    counts = {one: sum(each.outcome is one for each in findings) for one in Outcome}
    console.print("\n" + ", ".join(f"{count} {one}" for one, count in counts.items()))
