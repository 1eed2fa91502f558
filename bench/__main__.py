"""``python -m bench`` lists the measurements, ``python -m bench NAME [ARGUMENTS]`` runs one."""

from __future__ import annotations

import sys

from bench import hooks, indexer, latency, lighthouse, mix, pages, reads, sdk, sessions
from bench.hooks import run as hooks_run
from bench.indexer import run as indexer_run
from bench.latency import run as latency_run
from bench.lighthouse import run as lighthouse_run
from bench.mix import run as mix_run
from bench.pages import run as pages_run
from bench.reads import run as reads_run
from bench.sdk import run as sdk_run
from bench.sessions import run as sessions_run

BENCHES = {
    "sessions": (sessions.__doc__, sessions_run.main),
    "latency": (latency.__doc__, latency_run.main),
    "sdk": (sdk.__doc__, sdk_run.main),
    "hooks": (hooks.__doc__, hooks_run.main),
    "mix": (mix.__doc__, mix_run.main),
    "reads": (reads.__doc__, reads_run.main),
    "pages": (pages.__doc__, pages_run.main),
    "lighthouse": (lighthouse.__doc__, lighthouse_run.main),
    "indexer": (indexer.__doc__, indexer_run.main),
}


def main(arguments: list[str]) -> int:
    """Run the bench that is named first; return its exit code."""
    name, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if name in BENCHES:
        return BENCHES[name][1](rest)
    print("usage: ./run bench NAME [--help]\n")
    for known, (about, _) in BENCHES.items():
        print(f"  {known:10} {(about or '').splitlines()[0]}")
    if name not in ("", "--help", "-h"):
        print(f"bench: there is no {name!r}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
