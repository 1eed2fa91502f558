"""What is installed is what was reviewed: every package is locked by its hash, and a lock that does
not fit what is downloaded installs nothing."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
UV = ROOT / ".tools" / "bin" / "uv"
PART_OF = {"fontpkg": "fontpkg-noto-sans", "markupsafe": "jinja2", "pydantic-core": "pydantic"}
"""What is of another project, which says its version."""


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_ops_11_every_python_package_has_one_version_and_its_hashes(lock: Path) -> None:
    entries = re.split(r"\n(?=\S)", re.sub(r"^\s*#.*\n?", "", lock.read_text(), flags=re.M))
    packages = [entry for entry in entries if entry.strip()]
    assert packages
    for entry in packages:
        assert re.match(r"[\w.\[\]-]+==\S+", entry), entry[:80]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry[:80]
        assert "://" not in entry, entry[:80]


@pytest.mark.parametrize(
    ("folders", "lists"),
    [(("server/src",), ("runtime",)), (("sdk/src", "tests"), ("runtime", "dev"))],
    ids=["server", "SDK and tests"],
)
def test_what_our_code_imports_we_ask_for_ourselves(
    folders: tuple[str, ...], lists: tuple[str, ...]
) -> None:
    """Not through a package that happens to need it today, and tomorrow something else."""
    asked = {name for one in lists for name in _asked(ROOT / "requirements" / f"{one}.in")}
    homes = _homes()
    files = [file for folder in folders for file in (ROOT / folder).rglob("*.py")]
    imported = {module for file in files for module in _imported(file)}
    assert len(imported & homes.keys()) >= 10
    unasked = {
        module
        for module in imported & homes.keys()
        if not {PART_OF.get(home, home) for home in homes[module]} & {*asked, "gstable"}
    }
    assert unasked == set()


@cache
def _homes() -> dict[str, set[str]]:
    """By the name to import, what is installed that has it."""
    found = packages_distributions()
    return {module: {_normal(name) for name in names} for module, names in found.items()}


def _asked(file: Path) -> Iterator[str]:
    for line in file.read_text().splitlines():
        if found := re.match(r"[\w.-]+", line):
            yield _normal(found.group())


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _imported(file: Path) -> Iterator[str]:
    """The first words of the modules that it names, also inside functions."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def test_ops_11_every_npm_package_has_its_hash_and_no_script_of_its_own_is_run() -> None:
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    locked = {name: one for name, one in packages.items() if name and not one.get("link")}
    assert locked
    assert [name for name, one in locked.items() if "integrity" not in one] == []
    setup = (ROOT / "run_setup.py").read_text()
    assert '"--ignore-scripts"' in setup
    assert setup.count("--require-hashes") >= 3


@pytest.mark.parametrize("changed", [False, True], ids=["as reviewed", "changed"])
def test_ops_11_a_package_with_another_hash_is_not_installed(tmp_path: Path, changed: bool) -> None:
    wheel = tmp_path / "honest-1.0-py3-none-any.whl"
    info = "honest-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("honest.py", "")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: honest\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if changed:
        with zipfile.ZipFile(wheel, "a") as archive:
            archive.writestr("stowaway.pth", "import os")
    lock = tmp_path / "lock.txt"
    lock.write_text(f"honest @ {wheel.as_uri()} --hash=sha256:{digest}\n")
    target = tmp_path / "target"
    done = subprocess.run(
        [
            UV, "pip", "install", "--python", sys.executable, "--target", target, "--offline",
            "--no-index", "--require-hashes", "--requirement", lock,
        ],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert (done.returncode != 0) is changed, done.stderr
    assert (target / "honest.py").exists() is not changed
    assert not (target / "stowaway.pth").exists()
