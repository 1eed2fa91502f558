"""Deliveries: each event to each endpoint that subscribed, signed, and tried again when it failed.

Source: specification sections 9 and 15, Webhooks.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import time

from gstable._signature import (
    GSTABLE_SIGNATURE,
    GSTABLE_TIMESTAMP,
    STANDARD_ID,
    STANDARD_SIGNATURE,
    STANDARD_TIMESTAMP,
    gstable_signature,
    signing_key,
    standard_signature,
)
from gstable.testing._clock import wire_time
from gstable.testing._receivers import Receiver
from gstable.testing._world import World, packed

WAITS_SECONDS = (1, 10, 30, 120, 600, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Before each try but the first, from the one before. The platform varies them by a tenth."""
PAUSE_AFTER_SECONDS = 5 * 86_400
PAUSE_AFTER_FAILURES = 100
PAUSE_FAILURES_OVER_SECONDS = 86_400
GONE = 410
SNIPPET_CHARACTERS = 1000


@dataclass
class Endpoint:
    """`shown` is what the wire shows. `failing_since`: Unix seconds of the first of `failures`
    without a success in between."""

    shown: dict[str, object]
    previous_key: str = ""
    previous_until: int = 0
    failing_since: int | None = None
    failures: int = 0

    @property
    def webhook_id(self) -> str:
        return str(self.shown["webhookId"])

    @property
    def is_active(self) -> bool:
        return self.shown["status"] == "active"

    def wants(self, event_type: object) -> bool:
        """A disabled endpoint hears of nothing; a paused one will, once it is enabled."""
        return self.shown["status"] != "inactive" and self.subscribes(event_type)

    def subscribes(self, event_type: object) -> bool:
        subscribed = self.shown["subscribedEvents"]
        assert isinstance(subscribed, list)
        return event_type in subscribed

    def keys(self, now: int) -> list[str]:
        """The keys that sign now, the current one first."""
        previous = [self.previous_key] if now < self.previous_until else []
        return [str(self.shown["key"]), *previous]

    def forget_failures(self) -> None:
        self.failing_since, self.failures = None, 0

    def fails_too_long(self, now: int) -> bool:
        """Count one more failure, and say whether deliveries are to be paused for it."""
        if self.failing_since is None:
            self.failing_since = now
        self.failures += 1
        lasting = now - self.failing_since
        many = self.failures >= PAUSE_AFTER_FAILURES and lasting >= PAUSE_FAILURES_OVER_SECONDS
        return many or lasting >= PAUSE_AFTER_SECONDS


@dataclass(frozen=True)
class Delivery:
    """One try. `status`: what the receiver answered."""

    event_id: str
    event_type: str
    webhook_id: str
    url: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    status: int
    answer: str
    number: int
    at: int

    def shown(self, *, with_response: bool) -> dict[str, object]:
        """As the attempt logs of the API have it."""
        return {
            "attemptNumber": self.number,
            "startedAt": wire_time(self.at),
            "durationMs": 0,
            "statusCode": self.status,
            "error": None,
            "response": self.answer if with_response else None,
        }


@dataclass
class Letter:
    """One event at one endpoint. `due`: Unix seconds of the next try; `tries` of this round."""

    event: dict[str, object]
    endpoint: Endpoint
    due: int
    state: str = "pending"
    tries: int = 0
    attempts: list[Delivery] = field(default_factory=list)

    @property
    def status(self) -> str:
        is_held = self.state == "pending" and not self.endpoint.is_active
        return "held" if is_held else self.state

    def shown(self, *, with_response: bool) -> dict[str, object]:
        """As `/event/deliveries` has it."""
        return {
            "webhookId": self.endpoint.webhook_id,
            "status": self.status,
            "attemptCount": len(self.attempts),
            "nextAttemptTime": wire_time(self.due) if self.status == "pending" else None,
            "attempts": [one.shown(with_response=with_response) for one in self.attempts],
        }


class Mail:
    """All letters, oldest first, and who receives them: nobody until `receiver` is set."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._is_delivering = False
        self.receiver: Receiver | None = None
        self.letters: list[Letter] = []
        self.deliveries: list[Delivery] = []
        self.stopped: list[Callable[[Endpoint], None]] = []
        """Hear of an endpoint that is disabled or paused because of its answers."""
        world.clock.watch(self.deliver)

    def post(self, event: dict[str, object], endpoint: Endpoint) -> None:
        """Send the event there, or send it again: the same event, a new round of tries."""
        now = self._world.clock.now
        for letter in self.letters:
            if letter.event is event and letter.endpoint is endpoint:
                letter.state, letter.due, letter.tries = "pending", now, 0
                return
        self.letters.append(Letter(event, endpoint, now))

    def release(self, endpoint: Endpoint) -> None:
        """What was held for an endpoint that was enabled is due, with a new round of tries."""
        for letter in self.letters:
            if letter.endpoint is endpoint and letter.state == "pending":
                letter.due, letter.tries = self._world.clock.now, 0

    def stop(self, endpoint: Endpoint) -> None:
        """Give up what waits for an endpoint that was removed."""
        for letter in self.letters:
            if letter.endpoint is endpoint and letter.state == "pending":
                letter.state = "stopped"

    def deliver(self) -> None:
        """Send what is due, one after the other. What a receiver causes is sent behind it."""
        if self._is_delivering or self.receiver is None:
            return
        self._is_delivering = True
        try:
            while due := self._due():
                self._try(due, self.receiver)
        finally:
            self._is_delivering = False

    def _due(self) -> Letter | None:
        now = self._world.clock.now
        return next(
            (one for one in self.letters if one.status == "pending" and one.due <= now), None
        )

    def _try(self, letter: Letter, receiver: Receiver) -> None:
        now = self._world.clock.now
        url = str(letter.endpoint.shown["webhookUrl"])
        body = packed(letter.event)
        event_id = str(letter.event["eventId"])
        headers = _signed(letter.endpoint.keys(now), event_id, body)
        status, content = receiver(url, body, headers)
        delivery = Delivery(
            event_id=event_id,
            event_type=str(letter.event["eventType"]),
            webhook_id=letter.endpoint.webhook_id,
            url=url,
            body=body,
            headers=headers,
            status=status,
            answer=content.decode("utf-8", "replace")[:SNIPPET_CHARACTERS],
            number=len(letter.attempts) + 1,
            at=now,
        )
        letter.attempts.append(delivery)
        self.deliveries.append(delivery)
        self._judge(letter, status, now)

    def _judge(self, letter: Letter, status: int, now: int) -> None:
        endpoint = letter.endpoint
        if 200 <= status <= 299:
            letter.state = "delivered"
            endpoint.forget_failures()
            return
        letter.tries += 1
        if letter.tries > len(WAITS_SECONDS):
            letter.state = "exhausted"
        else:
            letter.due = now + WAITS_SECONDS[letter.tries - 1]
        too_long = endpoint.fails_too_long(now)
        if status == GONE:
            self._stop_for_its_answers(endpoint, "inactive")
        elif too_long:
            self._stop_for_its_answers(endpoint, "paused")

    def _stop_for_its_answers(self, endpoint: Endpoint, status: str) -> None:
        endpoint.shown["status"] = status
        for listener in self.stopped:
            listener(endpoint)


def _signed(secrets: list[str], event_id: str, body: bytes) -> dict[str, str]:
    # The machine's time and not the fake's: receivers compare it with their own.
    at = int(time())
    keys = [signing_key(secret) for secret in secrets]
    return {
        "content-type": "application/json",
        GSTABLE_TIMESTAMP: str(at),
        GSTABLE_SIGNATURE: gstable_signature(keys[0], at, body),
        STANDARD_ID: event_id,
        STANDARD_TIMESTAMP: str(at),
        STANDARD_SIGNATURE: " ".join(standard_signature(key, event_id, at, body) for key in keys),
    }
