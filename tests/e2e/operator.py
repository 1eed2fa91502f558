"""The operator of an installation, at its command line, and what its list holds."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
from typer.testing import CliRunner, Result

from gstable_server.chain.http_rpc import open_rpc
from gstable_server.chain.keys import private_key_from_hex
from gstable_server.chain.orders import ContractCall
from gstable_server.chain.wallet import Wallet
from gstable_server.cli.app import app
from tests.e2e.shop import Shop
from tests.running import eventually


@dataclass
class Operator:
    """Works on the server's machine, with the server's settings."""

    shop: Shop

    def asks(self, *arguments: str) -> dict[str, Any]:
        """``gstable unmatched … --json``, which must succeed."""
        done = self.tries(*arguments, "--json")
        assert done.exit_code == 0, done.output
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def tries(self, *arguments: str) -> Result:
        """The command in this process, which has imported everything already."""
        pid = self.shop.running.role_pid("worker")
        pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().rstrip("\0").split("\0")
        settings = dict(pair.split("=", 1) for pair in pairs)
        return CliRunner().invoke(app, ["unmatched", *arguments], env=settings)

    def finds(
        self, column: str, value: object, *states: str, final: bool = False
    ) -> dict[str, Any]:
        """Wait for the one row with that, in one of these states; ``final``: for good."""

        def there() -> dict[str, Any] | None:
            found = [row for row in self._rows(column, value) if row["state"] in states]
            return found[0] if len(found) == 1 and found[0]["final"] >= final else None

        row: dict[str, Any] = eventually(there, f"{column} {value!r} is {states}")
        return row

    def _rows(self, column: str, value: object) -> list[dict[str, Any]]:
        async def read() -> list[dict[str, Any]]:
            connection = await asyncpg.connect(self.shop.running.about["databaseUrl"])
            try:
                rows = await connection.fetch(f"SELECT * FROM inflows WHERE {column} = $1", value)
            finally:
                await connection.close()
            return [dict(row) for row in rows]

        return asyncio.run(read())

    def sends(self, call: ContractCall, network_name: str = "polygon") -> bytes:
        """The payer's wallet sends ``call``, mined; its transaction's hash. The gas is given,
        because a call to what is no contract yet cannot be estimated."""

        async def send() -> bytes:
            network = self.shop.running.networks.network(network_name)
            async with open_rpc(network) as rpc:
                key = private_key_from_hex(self.shop.running.payer_keys[self.shop.payer_number])
                wallet = Wallet(key, rpc, network.chain_id)
                receipt = await wallet.wait(await wallet.send(call, gas=200_000))
                assert receipt.succeeded
                return receipt.tx_hash

        return asyncio.run(send())
