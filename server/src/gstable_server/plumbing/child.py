"""Child processes that end with their parent, however it ends."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1
STOP_SECONDS = 10.0


def dying_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    """A ``preexec_fn`` that has the kernel send ``number`` when the parent is gone (Linux).

    A parent that is killed cannot clean up. Start the child on the main thread: the kernel
    watches the thread that forked. Elsewhere than on Linux there is no such thing, and None is
    returned: there only a parent that ends in order takes its children along.
    """
    return _DieWithParent(number) if sys.platform == "linux" else None


class _DieWithParent:
    """Runs in the child between fork and exec, after a change of user, which would undo it."""

    def __init__(self, number: signal.Signals) -> None:
        # Loaded before the fork: the child must not import between fork and exec.
        self._prctl = ctypes.CDLL(None, use_errno=True).prctl
        self._number = number
        self._parent = os.getpid()

    def __call__(self) -> None:
        self._prctl(PR_SET_PDEATHSIG, int(self._number), 0, 0, 0)
        if os.getppid() != self._parent:  # it died before the request was made
            os._exit(1)


def end(processes: list[subprocess.Popen[bytes]], seconds: float = STOP_SECONDS) -> None:
    """Ask all of them to stop, wait, and kill what has not stopped after ``seconds``."""
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
