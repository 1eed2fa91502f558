"""Exchanges every cell of a module's tables for another answer of the same table, and runs the
module's tests for each: ``python -m tests.mutation_cells MODULE TEST…``. Prints a JSON object.

A machine is a table; no tool that changes expressions changes what stands in one. Each exchange is
made in a process of its own, which inherits the modules, and so costs as much as the tests do.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest

QUIETLY = ("-q", "-x", "-p", "no:cacheprovider")
Place = tuple[str, dict[Any, Any], Any]
"""What a cell is called, the dictionary that it stands in, and its key there."""


def main(module_name: str, *tests: str) -> int:
    pytest.main([*QUIETLY, "--collect-only", *tests])  # what is imported now need not be again
    module = import_module(module_name)
    assert passes(tests), "the tests fail before anything is changed"
    count, survivors = 0, []
    for table in tables(module):
        places = list(cells(*table))
        for name, row, key in places:
            other = another([r[k] for _, r, k in places], row[key])
            if other is None:
                continue
            count += 1
            kept, row[key] = row[key], other
            if passes(tests):
                survivors.append(f"{name}: {kept!r} -> {other!r}")
            row[key] = kept
    sys.stdout.write(json.dumps({"count": count, "survivors": survivors}))
    return 0


def tables(module: ModuleType) -> Iterator[tuple[str, dict[Any, Any]]]:
    """The dictionaries on module level, with their names."""
    for name, value in vars(module).items():
        if isinstance(value, dict) and not name.startswith("__"):
            yield name, value


def cells(name: str, table: dict[Any, Any]) -> Iterator[Place]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from cells(f"{name}[{key}]", value)
        else:
            yield f"{name}[{key}]", table, key


def another(answers: Sequence[Any], known: Any) -> Any | None:
    """The first answer after ``known``, around the table, that is another; None if all are it."""
    place = answers.index(known)
    return next((a for a in (*answers[place:], *answers[:place]) if a != known), None)


def passes(tests: Sequence[str]) -> bool:
    """Whether the tests pass in a copy of this process."""
    child = os.fork()
    if child == 0:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            code = pytest.main([*QUIETLY, *tests])
        os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
