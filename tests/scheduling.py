"""Which tests run on which process, so that all of them end early.

Tests with an installation wait more than they work, and each process that runs any has to start
one. So every second process takes those, file after file; the others take the rest meanwhile, what
takes long before what does not. Who has none of its own left helps with what there is. The groups
of pytest-xdist 3.8 do not reach its scheduler under pytest 9.2, which no longer takes the name of
a test from where xdist writes it; here the file is the group.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

INSTALLATIONS = ("tests/browser/", "tests/contract/", "tests/e2e/")
LONG = (
    "tests/contract/test_stateful.py",
    "tests/e2e/test_chaos.py",
    "tests/e2e/test_commands.py",
    "tests/e2e/test_deadlines.py",
    "tests/e2e/test_faults.py",
    "tests/e2e/test_matrix.py",
    "tests/e2e/test_random_faults.py",
    "tests/property/",
    "tests/sim/",
    "tests/unit/bench/",
    "tests/unit/chain/executor/test_killed.py",
)
"""What takes half a minute a test or more: begun last, one would run alone at the end."""


class ByInstallation(LoadScopeScheduling):  # type: ignore[misc]
    """The tests of a file with an installation on one process, every other where there is room."""

    def __init__(self, config: pytest.Config, log: Any) -> None:
        super().__init__(config, log)
        self._files = deque[str]()
        self._others = deque[str]()

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.split("::")[0] if nodeid.startswith(INSTALLATIONS) else nodeid

    def _assign_work_unit(self, node: Any) -> None:
        """Bring what this process is to do to the front of the queue, which is what it gets."""
        if not (self._files or self._others):
            self._sort()
        takes_files = self.nodes.index(node) % 2 == 0
        own, rest = (self._files, self._others) if takes_files else (self._others, self._files)
        self.workqueue.move_to_end((own or rest).popleft(), last=False)
        super()._assign_work_unit(node)

    def _sort(self) -> None:
        """At the beginning, and when only what a process that died had not done is in the queue."""
        for scope in sorted(self.workqueue, key=lambda one: not one.startswith(LONG)):
            (self._files if scope.startswith(INSTALLATIONS) else self._others).append(scope)
