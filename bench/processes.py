"""Contenders in processes of their own, and how much processor time the kernel says they used."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from gstable_server.plumbing.child import dying_with_parent

PROCESSES = Path("/proc")
READY_SECONDS = 60.0
_TICKS = os.sysconf("SC_CLK_TCK")


def start(
    command: Sequence[str], settings: Mapping[str, str], directory: Path, log: IO[bytes]
) -> subprocess.Popen[bytes]:
    """A process that ends with this one; everything that it says goes to ``log``."""
    return subprocess.Popen(
        command,
        env=settings,
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        preexec_fn=dying_with_parent(signal.SIGTERM),
    )


def wait_for_port(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Until it takes connections on loopback. Raises ``RuntimeError`` with the end of ``log`` when
    it ended or takes too long."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    said = log.read_text(errors="replace")[-2000:]
    raise RuntimeError(f"the server on port {port} does not answer: {said}")


def cpu_seconds(pid: int) -> float:
    """Seconds in the kernel's and its own code so far; 0 for a process that is gone."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / _TICKS if fields else 0.0


def family_cpu_seconds(pid: int) -> float:
    """The same of a process, its children and those of its children that ended."""
    fields = _stat(pid)
    ended = (int(fields[13]) + int(fields[14])) / _TICKS if fields else 0.0
    return cpu_seconds(pid) + ended + sum(cpu_seconds(child) for child in _children(pid))


def _children(pid: int) -> list[int]:
    found = []
    for entry in PROCESSES.iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))) and int(fields[1]) == pid:
            found.append(int(entry.name))
    return found


def _stat(pid: int) -> list[str]:
    """What stands behind the name in ``/proc/<pid>/stat``: the state comes first."""
    try:
        return (PROCESSES / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def spent(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """What each used in between."""
    return {name: after[name] - before[name] for name in after}
