"""A platform at the SDK's seam, and the command as it is typed."""

from __future__ import annotations

import json
from typing import Any

from typer.testing import CliRunner, Result

from gstable import GStableConnectionError, Request, Response
from gstable_server.cli.app import app


class Turns(list[Any]):
    """Answers one after the other, the last for ever."""


class Platform:
    """Answers by path; ``asked`` is what arrived, as method, path and body."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, str, Any]] = []

    def answer(self, request: Request) -> Response:
        path = request.url.partition("/api/v1")[2]
        self.asked.append((request.method, path, request.json()))
        found = self.answers.get(path)
        if isinstance(found, Turns):
            found = found.pop(0) if len(found) > 1 else found[0]
        if isinstance(found, BaseException):
            raise found
        if isinstance(found, Response):
            return found
        if found is None:
            return Response.envelope(code=400301, message=f"no answer for {path}", status=404)
        return Response.envelope(found)


def away() -> GStableConnectionError:
    return GStableConnectionError("connection refused")


def typed(*words: str, typed_in: str | None = None) -> Result:
    """The command's result; a bug is raised, not printed."""
    return CliRunner().invoke(app, words, input=typed_in, catch_exceptions=False)


def objects(result: Result) -> list[Any]:
    """What it printed, one JSON object a line."""
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]
