"""What ``gstable unmatched`` does and prints."""

from __future__ import annotations

import getpass
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

import typer

from gstable_server.cli.merchant.output import Column, clean, print_table
from gstable_server.kernel.money import Asset, Money, token_text
from gstable_server.plumbing.config import load_settings
from gstable_server.plumbing.db import Database
from gstable_server.serve import Role, world_of
from gstable_server.sessions.operations import Desk
from gstable_server.sessions.unmatched import operations
from gstable_server.sessions.unmatched.model import WAITING, Inflow, InflowView, State, Total, Why
from gstable_server.sessions.unmatched.wire import (
    amount_text,
    render,
    render_total,
    render_view,
)

E = TypeVar("E", bound=StrEnum)
COLUMNS = (
    Column("id", whole=True),
    Column("state"),
    Column("flags"),
    Column("amount", whole=True),
    Column("token"),
    Column("arrived", wide=True),
    Column("session", wide=True),
)


def states_of(texts: Iterable[str]) -> Sequence[State]:
    """The states that are asked for; what waits where none is. Ends with exit code 2 for others."""
    return [_word(State, text, "state") for text in texts] or list(WAITING)


def flag_of(text: str | None) -> Why | None:
    """The flag that is asked for. Ends with exit code 2 for one that there is not."""
    return None if text is None else _word(Why, text, "flag")


def _word(words: type[E], text: str, option: str) -> E:
    try:
        return words(text)
    except ValueError:
        known = ", ".join(word.value for word in words)
        raise typer.BadParameter(f"must be one of {known}", param_hint=f"--{option}") from None


@asynccontextmanager
async def counter() -> AsyncIterator[Counter]:
    """The verbs, at the server's database and with its settings."""
    async with world_of(load_settings(), Role.API) as world:
        yield Counter(world.db, world.desk)


@dataclass(frozen=True, slots=True)
class Counter:
    """Every verb prints what it found or did; refusals are raised."""

    db: Database
    desk: Desk

    async def show_list(
        self, states: Sequence[State], flag: Why | None, limit: int, *, as_json: bool
    ) -> None:
        async with self.db.read() as tx:
            found = await operations.list_inflows(tx, states=states, flag=flag, limit=limit)
            totals = await operations.summary(tx)
        if as_json:
            _print_json(
                {
                    "inflows": [render(one) for one in found],
                    "waiting": [render_total(one) for one in totals],
                }
            )
            return
        if found:
            print_table(COLUMNS, [_row(one) for one in found])
        print(f"{sum(total.count for total in totals)} wait for a decision")
        for total in totals:
            print(f"  {total.count} in {total.token_id}: {_total_text(total)}")

    async def show(self, inflow_id: str, *, as_json: bool) -> None:
        await self._show(operations.inflow_id_of(inflow_id), as_json=as_json)

    async def accept(self, inflow_id: str, reason: str, by: str | None, *, as_json: bool) -> None:
        await self._act(operations.accept, inflow_id, reason, by, as_json=as_json)

    async def refund(
        self,
        inflow_id: str,
        reason: str,
        by: str | None,
        to: str | None,
        amount: int | None,
        *,
        as_json: bool,
    ) -> None:
        await self._act(
            operations.refund, inflow_id, reason, by, as_json=as_json, to=to, amount=amount
        )

    async def sweep(self, inflow_id: str, reason: str, by: str | None, *, as_json: bool) -> None:
        await self._act(operations.sweep, inflow_id, reason, by, as_json=as_json)

    async def dismiss(self, inflow_id: str, reason: str, by: str | None, *, as_json: bool) -> None:
        await self._act(operations.dismiss, inflow_id, reason, by, as_json=as_json)

    async def _act(
        self, verb: Any, text: str, reason: str, by: str | None, *, as_json: bool, **more: Any
    ) -> None:
        inflow_id, actor = operations.inflow_id_of(text), by or f"cli:{getpass.getuser()}"
        await self.db.run(
            verb, self.desk, inflow_id, actor=actor, reason=reason, tenant=None, **more
        )
        await self._show(inflow_id, as_json=as_json)

    async def _show(self, inflow_id: Any, *, as_json: bool) -> None:
        async with self.db.read() as tx:
            view = await operations.detail(tx, self.desk, inflow_id)
        if as_json:
            _print_json(render_view(view))
        else:
            _print_view(view)


def _print_json(value: Any) -> None:
    print(json.dumps(value))


def _row(inflow: Inflow) -> tuple[str, ...]:
    return (
        inflow.inflow_id,
        inflow.state.value,
        " ".join(sorted(inflow.flags)),
        amount_text(inflow, inflow.left),
        inflow.token_id,
        f"{inflow.arrived_at:%Y-%m-%d %H:%M}",
        inflow.session_id or "",
    )


def _total_text(total: Total) -> str:
    if total.decimals is None:
        return f"{total.amount} smallest units"
    return token_text(Money(total.amount, Asset(total.token_id, total.decimals)))


def _print_view(view: InflowView) -> None:
    shown = render_view(view)
    for name in ("resolutions", "decisions", "call"):
        del shown[name]
    for name, value in shown.items():
        text = ", ".join(value) if isinstance(value, list) else str(value)
        print(f"{name:<12} {clean(text)}")
    print(f"{'amount':<12} {amount_text(view.inflow, view.inflow.amount)}")
    print("\ncan be done")
    for act, problem in view.resolutions.items():
        print(f"  {act.value:<10} {'yes' if problem is None else f'no: it {problem}'}")
    if view.call is not None:
        print(f"  anybody may send 0x{view.call.data.hex()} to 0x{view.call.to.hex()}")
    if view.decisions:
        print("\nwas done")
    for one in view.decisions:
        did = one.act.value if one.act else "-"
        when = f"{one.at:%Y-%m-%d %H:%M:%S}"
        print(
            f"  {when}  {did:<8} {one.before} → {one.after}  {clean(one.actor)}: "
            f"{clean(one.reason)}"
        )
