"""Judges descriptors by the `erc7730` package, without a network: `./run clear-signing`.

The linter compares fields with a contract's ABI, which it would ask public explorers for. No
explorer knows a contract that is not deployed yet, so it is given our own artifact instead.
"""

from __future__ import annotations

import json
import sys
import typing
from pathlib import Path
from typing import Any

import typing_extensions

# The package asks for Python 3.12 and uses nothing of it but this name (PEP 698).
typing.override = typing_extensions.override  # type: ignore[attr-defined]

from erc7730.common import client  # noqa: E402
from erc7730.common.output import ConsoleOutputAdder, DropFileOutputAdder  # noqa: E402
from erc7730.lint.v2.lint import lint_all  # noqa: E402
from erc7730.model.abi import ABI  # noqa: E402
from pydantic import TypeAdapter  # noqa: E402

HERE = Path(__file__).resolve().parent
ROUTER = HERE / "artifacts/PaymentRouter.json"
READ_ONLY = {"view", "pure"}


def router_abi(_chain_id: int, _address: Any) -> list[ABI]:
    """What a wallet can be asked to sign of the router."""
    members = json.loads(ROUTER.read_text())["abi"]
    signed = [one for one in members if one.get("stateMutability") not in READ_ONLY]
    return TypeAdapter(list[ABI]).validate_json(json.dumps(signed))


def explorer_url(_chain_id: int, _address: Any) -> str:
    """Where the linter says that the ABI is from."""
    return str(ROUTER.relative_to(HERE.parent))


def main(arguments: list[str]) -> int:
    """Exit code 1 for an error or a warning: what a small screen would cut off is a fault, too."""
    directory = Path(arguments[0]) if arguments else HERE / "clear-signing"
    client.get_contract_abis = router_abi
    client.get_contract_explorer_url = explorer_url
    out = DropFileOutputAdder(delegate=ConsoleOutputAdder())
    count = lint_all(sorted(directory.glob("*.json")), out)
    is_good = count > 0 and not (out.has_errors or out.has_warnings)
    verdict = "no fault" if is_good else "see above" if count else "nothing to judge"
    print(f"clear-signing: {count} descriptors, {verdict}")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
