"""Writes each _sync package below gstable from the _async beside it, the only source of both.

python sdk/scripts/unasync.py            write
python sdk/scripts/unasync.py --check    exit 1 if what is there is stale
"""

import re
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "gstable"
# Shorter names change what the formatter and the import sorter would want.
HEADER = """\
# Generated from {source} by sdk/scripts/unasync.py. Do not edit.
# isort: skip_file
# fmt: off
"""

RULES = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\bAwaitable\[((?:[^\[\]]|\[[^\[\]]*\])*)\]", r"\1"),
        (r"\bimport (\w+, )?Awaitable, ", r"import \1"),
        (r"\bimport anyio\b.*\n\n +await anyio\.sleep", "import time\n\n    time.sleep"),
        (r"\basync (def|with|for)\b", r"\1"),
        (r"\bawait ", ""),
        (r"\b__aenter__\b", "__enter__"),
        (r"\b__aexit__\b", "__exit__"),
        (r"\baclose\b", "close"),
        (r"\baiter_bytes\b", "iter_bytes"),
        (r"\bhandle_async_request\b", "handle_request"),
        (r"\b(send|close)_async\b", r"\1"),
        (r"\b_async\b", "_sync"),
        (r"\bAsync([A-Z]\w*)", r"\1"),
        (r"^\"\"\"The asynchronous client\..*", '"""The synchronous client."""'),
    )
]


def synchronous(source: Path, name: str) -> str:
    """The synchronous text of one asynchronous module, which is called `name` in it."""
    text = source.read_text(encoding="utf-8")
    for pattern, replacement in RULES:
        text = pattern.sub(replacement, text)
    return HEADER.format(source=name) + text


def expected(package: Path) -> dict[Path, str]:
    """Every generated file with the text that it must have."""
    return {
        source.parent.with_name("_sync") / source.name: synchronous(
            source, source.relative_to(package).as_posix()
        )
        for source in sorted(package.glob("**/_async/*.py"))
    }


def stale(package: Path) -> list[Path]:
    """Files of each _sync that differ from their source, are absent, or have no source."""
    wanted = expected(package)
    found = set(package.glob("**/_sync/*.py"))
    different = [path for path in found & set(wanted) if path.read_text("utf-8") != wanted[path]]
    return sorted([*different, *(found ^ set(wanted))])


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: unasync.py [--check]\n")
        return 2
    paths = stale(PACKAGE)
    if arguments:
        for path in paths:
            sys.stderr.write(f"{path.relative_to(PACKAGE)} is stale: run sdk/scripts/unasync.py\n")
        return 1 if paths else 0
    for path, text in expected(PACKAGE).items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for path in stale(PACKAGE):
        path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
