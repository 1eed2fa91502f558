"""Bugs that are planted on purpose, so that the simulation can be seen to find them.

A bug is a context manager that replaces a real function by a wrong one for a while. The product
knows nothing of it. Every file of ``tests/sim/bugs`` may hold several.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

Plant = Callable[[], AbstractContextManager[None]]

_BUGS: dict[str, Plant] = {}


def bug(name: str) -> Callable[[Callable[[], Iterator[None]]], Plant]:
    """Register a generator function that plants a bug, yields, and takes it out again."""

    def register(function: Callable[[], Iterator[None]]) -> Plant:
        assert name not in _BUGS, f"two bugs are called {name!r}"
        plant = contextmanager(function)
        _BUGS[name] = plant
        return plant

    return register


@contextmanager
def replaced(owner: Any, name: str, wrong: Any) -> Iterator[None]:
    """``owner.name`` is ``wrong`` for a while. ``owner`` is the class, or the module that uses the
    function: one that imported it by its name has a reference of its own."""
    right = getattr(owner, name)
    setattr(owner, name, wrong)
    try:
        yield
    finally:
        setattr(owner, name, right)


def all_bugs() -> dict[str, Plant]:
    """Every planted bug by its name."""
    for path in sorted((Path(__file__).parent / "bugs").glob("*.py")):
        importlib.import_module(f"tests.sim.bugs.{path.stem}")
    return dict(_BUGS)


def planted(name: str | None) -> AbstractContextManager[None]:
    """The bug of that name, planted; nothing for None. Raises ``LookupError``."""
    if name is None:
        return nullcontext()
    return all_bugs()[name]()
