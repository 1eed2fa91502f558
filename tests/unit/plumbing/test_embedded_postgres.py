"""The embedded server ends with its owner however that ends, and keeps what was committed."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from gstable_server.plumbing import embedded_postgres, postgres_programs
from gstable_server.plumbing.embedded_postgres import (
    DatabaseFailed,
    EmbeddedPostgres,
    temporary_postgres,
)

OWNER_SCRIPT = """
import pathlib, sys, time
from gstable_server.plumbing.embedded_postgres import EmbeddedPostgres
server = EmbeddedPostgres.start(pathlib.Path(sys.argv[1]))
print(server.pid, flush=True)
time.sleep(120)
"""


@pytest.fixture
def state_dir() -> Iterator[Path]:
    """A directory that the server's own user id can reach; pytest's own is closed to others."""
    directory = Path(tempfile.mkdtemp(prefix="gstable-test-"))
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory)


def ask(server: EmbeddedPostgres, sql: str) -> Any:
    async def asked() -> Any:
        connection = await asyncpg.connect(server.url)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    return asyncio.run(asked())


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 60
    while is_alive(pid):
        assert time.monotonic() < deadline, f"process {pid} is still there"
        time.sleep(0.01)


def start_owner(state_dir: Path) -> tuple[subprocess.Popen[str], int]:
    """Another process that owns a server; returns it and the server's process id."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER_SCRIPT, str(state_dir)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert owner.stdout is not None
    line = owner.stdout.readline()
    owner.stdout.close()
    return owner, int(line)


def test_a_new_directory_becomes_a_server_and_keeps_its_data(state_dir: Path) -> None:
    with EmbeddedPostgres.start(state_dir) as server:
        first = server.pid
        ask(server, "CREATE TABLE kept AS SELECT 7 AS value")
        assert ask(server, "SHOW listen_addresses") == ""
        assert ask(server, "SHOW fsync") == "on"
        assert ask(server, "SHOW server_encoding") == "UTF8"
    assert not is_alive(first)
    with EmbeddedPostgres.start(state_dir) as server:
        assert ask(server, "SELECT value FROM kept") == 7


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_server_ends_with_its_owner(state_dir: Path, number: signal.Signals) -> None:
    owner, server_pid = start_owner(state_dir)
    assert is_alive(server_pid)
    owner.send_signal(number)
    assert owner.wait(60) != 0
    with EmbeddedPostgres.start(state_dir) as server:  # at once: the old one may still be stopping
        assert not is_alive(server_pid)
        assert server.pid != server_pid
        assert ask(server, "SELECT 1") == 1


def test_no_orphan_is_left_even_when_nobody_starts_again(state_dir: Path) -> None:
    owner, server_pid = start_owner(state_dir)
    owner.kill()
    owner.wait(60)
    wait_until_gone(server_pid)


def test_a_killed_server_is_started_again_with_what_was_committed(state_dir: Path) -> None:
    server = EmbeddedPostgres.start(state_dir)
    ask(server, "CREATE TABLE kept AS SELECT 7 AS value")
    os.kill(server.pid, signal.SIGKILL)
    server.stop()
    assert (state_dir / "postgres" / "data" / "postmaster.pid").exists()
    with EmbeddedPostgres.start(state_dir) as again:
        assert ask(again, "SELECT value FROM kept") == 7


def test_ops_02_a_watched_server_that_is_killed_comes_back_at_its_address(state_dir: Path) -> None:
    # Given a server in use
    async def killed(server: EmbeddedPostgres) -> Any:
        watching = asyncio.create_task(server.watch())
        connection = await asyncpg.connect(server.url)
        await connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
        first = server.pid
        # When it is killed
        os.kill(first, signal.SIGKILL)
        while server.pid == first or (found := await _number(server)) is None:
            await asyncio.sleep(0.02)
        watching.cancel()
        return found

    # Then another serves what was committed, at the same address
    with EmbeddedPostgres.start(state_dir) as server:
        assert asyncio.run(asyncio.wait_for(killed(server), 60)) == 7


async def _number(server: EmbeddedPostgres) -> Any:
    try:
        connection = await asyncpg.connect(server.url)
    except (OSError, asyncpg.PostgresError):
        return None
    try:
        return await connection.fetchval("SELECT number FROM kept")
    finally:
        await connection.close()


def test_a_pid_file_that_names_a_strangers_process_does_not_stop_the_start(
    state_dir: Path,
) -> None:
    EmbeddedPostgres.start(state_dir).stop()
    pid_file = state_dir / "postgres" / "data" / "postmaster.pid"
    pid_file.write_text(f"{os.getppid()}\n")
    with EmbeddedPostgres.start(state_dir) as server:
        assert ask(server, "SELECT 1") == 1


def test_an_initialization_that_was_cut_short_is_done_again(state_dir: Path) -> None:
    unfinished = state_dir / "postgres" / "data.new"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("15\n")
    with EmbeddedPostgres.start(state_dir) as server:
        assert ask(server, "SELECT 1") == 1


def test_a_second_owner_is_refused(state_dir: Path) -> None:
    with (
        EmbeddedPostgres.start(state_dir),
        pytest.raises(DatabaseFailed, match="in use by another process"),
    ):
        EmbeddedPostgres.start(state_dir)


def test_another_thread_may_not_start_it(state_dir: Path) -> None:
    raised: list[Exception] = []

    def start() -> None:
        try:
            EmbeddedPostgres.start(state_dir)
        except DatabaseFailed as error:
            raised.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "main thread" in str(raised[0])


def test_a_directory_closed_to_the_servers_user_is_served_from_elsewhere(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root runs the server under another user id")
    elsewhere = state_dir / "elsewhere"
    monkeypatch.setattr(embedded_postgres, "FALLBACK_HOME", elsewhere)
    closed = state_dir / "closed"
    closed.mkdir(mode=0o700)
    with EmbeddedPostgres.start(closed) as server:
        ask(server, "CREATE TABLE kept AS SELECT 7 AS value")
    assert (closed / "postgres").resolve().parent == elsewhere
    with EmbeddedPostgres.start(closed) as server:
        assert ask(server, "SELECT value FROM kept") == 7


def test_a_socket_path_that_would_be_too_long_is_put_elsewhere(state_dir: Path) -> None:
    deep = state_dir / ("d" * 60) / ("e" * 60)
    with EmbeddedPostgres.start(deep) as server:
        assert ask(server, "SELECT 1") == 1
    shutil.rmtree(server.url.split("host=")[1])


def test_a_socket_directory_of_another_user_is_refused(state_dir: Path) -> None:
    EmbeddedPostgres.start(state_dir).stop()
    (state_dir / "postgres" / "socket").chmod(0o777)
    with pytest.raises(DatabaseFailed, match="belongs to another user"):
        EmbeddedPostgres.start(state_dir)


def test_the_package_serves_where_the_system_has_no_postgresql(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_programs, "SYSTEM_DIRECTORIES", state_dir / "none")
    monkeypatch.setattr(embedded_postgres, "FALLBACK_HOME", state_dir / "elsewhere")
    monkeypatch.setenv("PATH", "")
    with EmbeddedPostgres.start(state_dir) as server:
        assert ask(server, "SHOW server_version").startswith("18.")


def test_programs_out_of_the_servers_reach_are_copied(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root runs the server under another user id")
    monkeypatch.setattr(postgres_programs, "SYSTEM_DIRECTORIES", state_dir / "none")
    monkeypatch.setattr(embedded_postgres, "FALLBACK_HOME", state_dir / "elsewhere")
    monkeypatch.setenv("PATH", "")
    (found,) = postgres_programs.find_programs()
    copied = postgres_programs.reachable_copy(found, state_dir / "elsewhere", lambda _path: False)
    assert copied.directory.is_relative_to(state_dir)
    monkeypatch.setattr(embedded_postgres, "choose_programs", lambda _data: copied)
    with EmbeddedPostgres.start(state_dir) as server:
        assert ask(server, "SHOW server_version").startswith("18.")


def test_data_of_another_major_version_is_not_touched(state_dir: Path) -> None:
    EmbeddedPostgres.start(state_dir).stop()
    (state_dir / "postgres" / "data" / "PG_VERSION").write_text("9\n")
    with pytest.raises(DatabaseFailed, match="no PostgreSQL programs that fit"):
        EmbeddedPostgres.start(state_dir)


def test_a_failed_start_says_why_and_frees_the_directory(state_dir: Path) -> None:
    EmbeddedPostgres.start(state_dir).stop()
    control = state_dir / "postgres" / "data" / "global" / "pg_control"
    kept = control.read_bytes()
    control.write_bytes(b"")
    with pytest.raises(DatabaseFailed, match="did not start"):
        EmbeddedPostgres.start(state_dir)
    control.write_bytes(kept)
    with EmbeddedPostgres.start(state_dir) as server:
        assert ask(server, "SELECT 1") == 1


def test_a_temporary_server_leaves_nothing() -> None:
    with temporary_postgres() as server:
        assert ask(server, "SHOW fsync") == "off"
        socket = Path(server.url.split("host=")[1])
        assert socket.is_dir()
    assert not socket.parent.exists()
    assert not is_alive(server.pid)
