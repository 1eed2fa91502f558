"""Writes the descriptors of a networks file (ERC-7730), for wallets to show what they sign.

    .venv/bin/python contracts/clear_signing.py [NETWORKS_FILE DIRECTORY]

`./run clear-signing` does that and judges the result by the `erc7730` linter.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from gstable_server.chain.clear_signing import descriptors
from gstable_server.chain.configuration import ConfigurationError
from gstable_server.chain.networks_toml import load_networks

HERE = Path(__file__).resolve().parent
ROUTER = HERE / "artifacts/PaymentRouter.json"
KEPT = HERE / "clear-signing"


def texts(networks_file: Path) -> dict[str, str]:
    """Each descriptor as it is written, by the name of its file."""
    router_abi = json.loads(ROUTER.read_text())["abi"]
    made = descriptors(load_networks(networks_file), router_abi)
    return {name: f"{json.dumps(one, indent=2)}\n" for name, one in made.items()}


def main(arguments: list[str]) -> int:
    """Write them; those of an older run that are not made any more go."""
    if len(arguments) not in (0, 2):
        print("usage: contracts/clear_signing.py [NETWORKS_FILE DIRECTORY]", file=sys.stderr)
        return 2
    default = (KEPT / "networks.toml", KEPT)
    networks_file, directory = map(Path, arguments) if arguments else default
    try:
        made = texts(networks_file)
    except ConfigurationError as failure:
        print(f"clear-signing: {failure}", file=sys.stderr)
        return 1
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.glob("*.json"):
        old.unlink()
    for name, text in made.items():
        (directory / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
