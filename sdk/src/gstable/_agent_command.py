"""Where the command `gstable-agent` begins: says in one line what it needs and does not find."""

import sys


def main() -> int:
    """Run the command; the exit code."""
    try:
        from gstable.agent.cli import main as run
    except ImportError as missing:
        sys.stderr.write(f"gstable-agent: {missing}\n")
        return 1
    return run()
