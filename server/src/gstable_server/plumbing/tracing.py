"""Traces of OpenTelemetry: one payment followed through every process that had a part in it.

Off unless ``start`` was called, and then a span costs one comparison. Context travels in the W3C
form of ``traceparent``: in ``events.trace_parent`` from the transaction that told an event to
whoever handles it, and in the header of the same name to a merchant's webhook receiver.

A request of a session and the facts of the chain are different traces, because nobody hands a
context through a block chain; the span of a fact has a link to the trace of its session.

Spans carry names, identifiers and numbers that the caller lists. Nothing else ever gets in: no
headers, no bodies, and of an exception its type alone, because its text may hold an address with
a provider's key in it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.trace import SpanContext

Attribute = str | int | bool

ENDPOINT_VARIABLES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
"""Tracing is on where one of these is set; OpenTelemetry's own variables say the rest."""
SHUTDOWN_MILLISECONDS = 3000


class Span(Protocol):
    """What is being done, as far as it may be told."""

    def note(self, **attributes: Attribute) -> None:
        """Add attributes."""

    def rename(self, name: str) -> None:
        """Give it the name that was not known when it began."""


class _Nothing:
    """The span of a process that does not trace."""

    __slots__ = ()

    def note(self, **attributes: Attribute) -> None:
        return

    def rename(self, name: str) -> None:
        return


_NOTHING: AbstractContextManager[Span] = nullcontext(_Nothing())
_tracing: _Tracing | None = None


class _Tracing:
    """OpenTelemetry, imported by those who use it: it takes as long as a role takes to start."""

    def __init__(self, processor: SpanProcessor, attributes: Mapping[str, str]) -> None:
        from opentelemetry import trace
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.trace import propagation
        from opentelemetry.trace.propagation import tracecontext

        self._trace = trace
        self._with_span = propagation.set_span_in_context
        self._propagator = tracecontext.TraceContextTextMapPropagator()
        self._provider = TracerProvider(resource=Resource.create(dict(attributes)))
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("gstable_server")

    @contextmanager
    def span(
        self, name: str, parent: str | None, attributes: Mapping[str, Attribute]
    ) -> Iterator[Span]:
        context = None
        if parent is not None and (known := self.context_of(parent)) is not None:
            context = self._with_span(self._trace.NonRecordingSpan(known))
        with self._tracer.start_as_current_span(
            name,
            context=context,
            attributes=dict(attributes),
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield _Recorded(span)
            except BaseException as failure:
                status = self._trace.StatusCode.ERROR
                span.set_status(self._trace.Status(status, type(failure).__name__))
                raise

    def context_of(self, trace_parent: str) -> SpanContext | None:
        found = self._propagator.extract({"traceparent": trace_parent})
        context = self._trace.get_current_span(found).get_span_context()
        return context if context.is_valid else None

    def current(self) -> str | None:
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return carrier.get("traceparent")

    def link(self, trace_parent: str) -> None:
        known = self.context_of(trace_parent)
        if known is not None:
            self._trace.get_current_span().add_link(known)

    def stop(self) -> None:
        self._provider.force_flush(SHUTDOWN_MILLISECONDS)
        self._provider.shutdown()


class _Recorded:
    __slots__ = ("_span",)

    def __init__(self, span: object) -> None:
        self._span = span

    def note(self, **attributes: Attribute) -> None:
        self._span.set_attributes(attributes)  # type: ignore[attr-defined]

    def rename(self, name: str) -> None:
        self._span.update_name(name)  # type: ignore[attr-defined]


def start(role: str, version: str) -> bool:
    """Trace from now on, if the environment names a collector; True if so.

    OpenTelemetry's variables apply as they are: endpoint, headers, sampler, resource attributes.
    """
    if not any(os.environ.get(name) for name in ENDPOINT_VARIABLES):
        return False
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    start_with(BatchSpanProcessor(OTLPSpanExporter()), role, version)
    return True


def start_with(processor: SpanProcessor, role: str, version: str) -> None:
    """Trace from now on into ``processor``; for tests, and for what ``start`` has chosen."""
    global _tracing
    attributes = {"service.version": version, "gstable.role": role}
    if "OTEL_SERVICE_NAME" not in os.environ:
        attributes["service.name"] = "gstable"
    _tracing = _Tracing(processor, attributes)


def stop() -> None:
    """Hand over what was recorded, and trace no more."""
    global _tracing
    ending, _tracing = _tracing, None
    if ending is not None:
        ending.stop()


def is_on() -> bool:
    """Whether this process traces; asked before anything that costs a query."""
    return _tracing is not None


def span(
    name: str, *, parent: str | None = None, **attributes: Attribute
) -> AbstractContextManager[Span]:
    """Record what is done inside as ``name``, below the current span, or below ``parent`` if that
    is a ``traceparent``. Attributes are identifiers and numbers, never what a caller sent."""
    if _tracing is None:
        return _NOTHING
    return _tracing.span(name, parent, attributes)


def current() -> str | None:
    """The current span as a ``traceparent``; None where there is none."""
    return None if _tracing is None else _tracing.current()


def link(trace_parent: str | None) -> None:
    """Say that the current span has to do with another trace."""
    if _tracing is not None and trace_parent is not None:
        _tracing.link(trace_parent)
