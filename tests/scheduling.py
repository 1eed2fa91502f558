"""Which tests run one after the other on one test process: those that start an installation.

The groups of pytest-xdist 3.8 do not reach its scheduler under pytest 9.2, which no longer takes
the name of a test from where xdist writes it; here the folder is the group.
"""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

INSTALLATIONS = ("tests/browser/", "tests/contract/", "tests/e2e/")


class OneInstallation(LoadScopeScheduling):  # type: ignore[misc]
    """Tests with an installation on one process, every other test wherever there is room."""

    def _split_scope(self, nodeid: str) -> str:
        return "installation" if nodeid.startswith(INSTALLATIONS) else nodeid
