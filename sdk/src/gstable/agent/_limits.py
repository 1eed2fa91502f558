"""How much an agent may spend, and the record of what it has spent."""

import json
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Protocol

from gstable._errors import GStableUsageError
from gstable.agent._errors import LimitExceeded, SpendStoreError

DAY_SECONDS = 86_400
MICRO_USD_DECIMALS = 6
MICRO_USD_PER_USD = 1_000_000
FORMAT = 1


@dataclass(slots=True)
class Counted:
    """A payment that was counted under `name`. `granted`: an approval for it was sent, so that the
    executor may take the money whether the payment succeeds or not."""

    name: str
    is_new: bool
    granted: bool = False


class SpendStore(Protocol):
    """Where spending is recorded. One store may serve several processes and wallets."""

    def reserve(self, name: str, amount: int, now: int, per_day: int) -> bool:
        """Record `amount` (Micro-USD) for a payment at `now` (Unix seconds), in one step with the
        check that the 24 hours before hold at most `per_day` with it. A name counts once; False
        where it was counted before.

        Raises `LimitExceeded` and records nothing where it would be more, `SpendStoreError`
        where the record cannot be kept.
        """

    def release(self, name: str) -> None:
        """Forget a payment whose money surely did not move."""

    def spent(self, now: int) -> int:
        """Micro-USD in the 24 hours before `now`."""


@dataclass(slots=True)
class _Spending:
    """Name of a payment → (when, how much). Rules only; kept by the stores."""

    entries: dict[str, tuple[int, int]] = field(default_factory=dict)

    def spent(self, now: int) -> int:
        return sum(amount for at, amount in self.entries.values() if at > now - DAY_SECONDS)

    def reserve(self, name: str, amount: int, now: int, per_day: int) -> bool:
        recent = {
            key: (at, paid) for key, (at, paid) in self.entries.items() if at > now - DAY_SECONDS
        }
        _, counted = recent.get(name, (now, 0))
        most = max(amount, counted)  # either may be the one that is mined
        _check_day(self.spent(now) - counted + most, per_day)
        self.entries = {**recent, name: (now, most)}
        return name not in recent


class MemorySpendStore:
    """A record that ends with the process: a restart begins a new day."""

    def __init__(self) -> None:
        self._spending = _Spending()
        self._lock = Lock()

    def reserve(self, name: str, amount: int, now: int, per_day: int) -> bool:
        with self._lock:
            return self._spending.reserve(name, amount, now, per_day)

    def release(self, name: str) -> None:
        with self._lock:
            self._spending.entries.pop(name, None)

    def spent(self, now: int) -> int:
        with self._lock:
            return self._spending.spent(now)


class FileSpendStore:
    """A record in a file, shared by processes of one machine (POSIX).

    A file that cannot be read stops all spending, because what it held is not known. It is
    replaced as a whole, under a lock beside it, so a process that dies leaves the old one.
    """

    def __init__(self, path: "str | os.PathLike[str]") -> None:
        self._path = Path(path)

    def reserve(self, name: str, amount: int, now: int, per_day: int) -> bool:
        with self._changed() as spending:
            return spending.reserve(name, amount, now, per_day)

    def release(self, name: str) -> None:
        with self._changed() as spending:
            spending.entries.pop(name, None)

    def spent(self, now: int) -> int:
        return self._read().spent(now)

    @contextmanager
    def _changed(self) -> Iterator[_Spending]:
        """The record, alone; written back unless the body raises."""
        import fcntl  # POSIX only, and only who keeps a file needs it

        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with open(self._path.with_name(f"{self._path.name}.lock"), "a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                spending = self._read()
                yield spending
                self._write(spending)
        except OSError as failure:
            raise SpendStoreError(f"cannot keep {self._path}: {failure.strerror}") from failure

    def _read(self) -> _Spending:
        try:
            kept = json.loads(self._path.read_text("utf-8"))
            if kept["format"] != FORMAT:
                raise ValueError("another format")
            entries = {
                str(name): (_whole(at), _whole(amount))
                for name, (at, amount) in kept["spent"].items()
            }
        except FileNotFoundError:
            return _Spending()
        except OSError as failure:
            raise SpendStoreError(f"cannot read {self._path}: {failure.strerror}") from failure
        except (ValueError, TypeError, KeyError, AttributeError) as broken:
            raise SpendStoreError(f"{self._path} is not a record of spending") from broken
        return _Spending(entries)

    def _write(self, spending: _Spending) -> None:
        new = self._path.with_name(f"{self._path.name}.new")
        with open(new, "w", encoding="utf-8") as file:
            json.dump({"format": FORMAT, "spent": spending.entries}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, self._path)


@dataclass(frozen=True, slots=True)
class SpendLimits:
    """How much may be spent. Amounts in Micro-USD (1 USD = 1,000,000), fees included, gas not.

    `per_payment`: one payment; `per_day`: any 24 hours, counted in `store`. `merchants`: the
    merchant ids that may be paid, any unless given. `tokens`: the contracts of stablecoins that
    may be spent, as (chain id, address); without it, it is the platform's word that a token is
    worth a dollar. `gas_per_transaction`: wei that one transaction may cost at most.
    """

    per_payment: int
    per_day: int
    merchants: Collection[str] | None = None
    tokens: Collection[tuple[int, str]] | None = None
    gas_per_transaction: int | None = None
    store: SpendStore = field(default_factory=MemorySpendStore)

    def __post_init__(self) -> None:
        for name in ("per_payment", "per_day"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise GStableUsageError(f"{name} must be an integer of Micro-USD")
        for name in ("merchants", "tokens"):
            if isinstance(getattr(self, name), str):
                raise GStableUsageError(f"{name} must be a collection, not a text")

    def check_merchant(self, merchant_id: str | None) -> None:
        """Raises `LimitExceeded` for a merchant who is not listed."""
        if self.merchants is not None and merchant_id not in self.merchants:
            raise LimitExceeded("merchants", f"merchant {merchant_id} may not be paid")

    def check_token(self, chain_id: int, token_address: str) -> None:
        """Raises `LimitExceeded` for a token that is not listed."""
        if self.tokens is None:
            return
        listed = {(chain, address.lower()) for chain, address in self.tokens}
        if (chain_id, token_address.lower()) not in listed:
            raise LimitExceeded("tokens", f"token {token_address} may not be spent")

    def check_day(self, amount: int, now: int) -> None:
        """Raises `LimitExceeded` where so many Micro-USD more are too many for 24 hours. Early:
        the store looks again when it records them."""
        _check_day(self.store.spent(now) + amount, self.per_day)

    def check_payment(self, amount: int) -> None:
        """Raises `LimitExceeded` for more Micro-USD than one payment may be."""
        if amount > self.per_payment:
            raise LimitExceeded(
                "per_payment", f"{usd(amount)} USD are more than {usd(self.per_payment)} USD"
            )


def micro_usd_rounded_up(amount_in_token: int, decimals: int) -> int:
    """Smallest units of a stablecoin as Micro-USD, at 1 USD each (section 15, Fees)."""
    per_token: int = 10**decimals
    return -(-amount_in_token * MICRO_USD_PER_USD // per_token)


def _check_day(total: int, per_day: int) -> None:
    if total > per_day:
        raise LimitExceeded(
            "per_day",
            f"it would be {usd(total)} USD in 24 hours, more than {usd(per_day)} USD",
        )


def usd(amount: int) -> str:
    """Micro-USD for people, such as 12.50."""
    return decimal_text(amount, MICRO_USD_DECIMALS)


def decimal_text(amount: int, decimals: int) -> str:
    """Smallest units for people, exact, with at least two decimals."""
    whole, rest = divmod(amount, 10**decimals)
    fraction = f"{rest:0{decimals}d}" if decimals else ""
    return f"{whole}.{fraction.rstrip('0').ljust(2, '0')}"


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("not a whole number")
    return value
