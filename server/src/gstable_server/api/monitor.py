"""The operator's door, on a port of its own that the public never reaches: metrics and health."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gstable_server.plumbing import metrics
from gstable_server.plumbing.health import Health
from gstable_server.plumbing.json_text import encode_json


def monitor_app(
    health: Health, readings: Callable[[], Awaitable[Sequence[metrics.Reading]]]
) -> Starlette:
    """``/metrics`` for Prometheus and ``/health/…`` in plain JSON, for any role."""

    async def show_metrics(_request: Request) -> Response:
        content = metrics.exposition(await readings())
        return Response(content, media_type=metrics.CONTENT_TYPE)

    async def live(_request: Request) -> Response:
        return _json({"status": "ok"}, 200)

    async def ready(_request: Request) -> Response:
        report = await health.report()
        return _json(report.as_json(), 200 if report.is_ready else 503)

    return Starlette(
        routes=[
            Route("/metrics", show_metrics),
            Route("/health/live", live),
            Route("/health/ready", ready),
        ]
    )


def _json(data: object, status: int) -> Response:
    headers = {"cache-control": "no-store"}
    return Response(encode_json(data), status, headers, media_type="application/json")
