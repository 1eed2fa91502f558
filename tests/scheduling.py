"""Which tests run one after the other on one process: those of a file that use an installation.

Such a test waits more than it works, so each process has an installation of its own and takes file
after file, the largest first; every other test then fills the gaps. The groups of pytest-xdist 3.8
do not reach its scheduler under pytest 9.2, which no longer takes the name of a test from where
xdist writes it; here the file is the group.
"""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

INSTALLATIONS = ("tests/browser/", "tests/contract/", "tests/e2e/")


class ByInstallation(LoadScopeScheduling):  # type: ignore[misc]
    """The tests of a file with an installation on one process, every other where there is room."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.split("::")[0] if nodeid.startswith(INSTALLATIONS) else nodeid
