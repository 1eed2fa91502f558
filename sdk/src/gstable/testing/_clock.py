"""The fake's own time: it stands still until a test moves it."""

from collections.abc import Callable
from time import gmtime, strftime, time


class FakeClock:
    """A clock that is set by hand. Begins at `now` (Unix seconds), the machine's unless given."""

    def __init__(self, now: int | None = None) -> None:
        self._now = int(time()) if now is None else now
        self._watchers: list[Callable[[], None]] = []

    @property
    def now(self) -> int:
        """Unix seconds."""
        return self._now

    def advance(self, seconds: int) -> None:
        """Let time pass, and with it what is due: sessions expire, deliveries are tried again.

        Raises `ValueError` for a negative number: time does not go back.
        """
        if seconds < 0:
            raise ValueError("seconds must not be negative")
        self._now += seconds
        for watcher in self._watchers:
            watcher()

    def watch(self, watcher: Callable[[], None]) -> None:
        """Call `watcher` whenever time has passed."""
        self._watchers.append(watcher)


def wire_time(at: int) -> str:
    """`YYYY-MM-DD HH:mm:ss` in UTC. `at`: Unix seconds. Source: section 2."""
    return strftime("%Y-%m-%d %H:%M:%S", gmtime(at))
