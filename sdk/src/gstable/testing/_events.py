"""Events over the API, in the form in which they are delivered. Source: section 9."""

from calendar import timegm
from time import strptime

from gstable.testing._fields import ID, absent, integer, record
from gstable.testing._mail import Mail
from gstable.testing._refusals import Refused, invalid
from gstable.testing._routes import Call, Route, get, post
from gstable.testing._webhooks import Webhooks
from gstable.testing._world import Page, World

UNIX_SECONDS_MAX = 253_402_300_799
_MOMENT = integer(0, UNIX_SECONDS_MAX)


class Events:
    """What happened, and where it was sent."""

    def __init__(self, world: World, mail: Mail, webhooks: Webhooks) -> None:
        self._world = world
        self._mail = mail
        self._webhooks = webhooks

    def routes(self) -> list[Route]:
        one = record(eventId=ID, webhookId=absent(ID))
        several = record(webhookId=ID, since=_MOMENT, until=_MOMENT)
        return [
            get("/event/list/{page}/{size}", self._list),
            get("/event/detail/{eventId}", self._detail),
            get("/event/feed/{cursor}/{size}", self._feed),
            get("/event/deliveries/{eventId}", self._deliveries),
            post("/event/resend", self._resend, one),
            post("/event/resend/range", self._resend_range, several),
        ]

    def _require(self, event_id: str) -> dict[str, object]:
        for event in self._world.events:
            if event["eventId"] == event_id:
                return event
        raise Refused(300201)

    def _list(self, call: Call) -> object:
        page = Page.of(call.values)
        newest = self._world.events[::-1]
        cut = page.cut(newest)
        return {"total": len(newest), "page": page.number, "size": page.size, "events": cut}

    def _detail(self, call: Call) -> object:
        return self._require(call.values["eventId"])

    def _feed(self, call: Call) -> object:
        size = Page.of({"page": "1", "size": call.values["size"]}).size
        end = len(self._world.events)
        begin = position(call.values["cursor"], end)
        found = self._world.events[begin : begin + size]
        return {"events": found, "cursor": f"0-{begin + len(found):x}"}

    def _deliveries(self, call: Call) -> object:
        event = self._require(call.values["eventId"])
        return {
            "deliveries": [
                letter.shown(with_response=call.writes)
                for letter in self._mail.letters
                if letter.event is event
            ]
        }

    def _resend(self, call: Call) -> object:
        event = self._require(call.body["eventId"])
        if call.body["webhookId"] is not None:
            endpoints = [self._webhooks.require(call.body["webhookId"])]
        else:
            had = [letter.endpoint for letter in self._mail.letters if letter.event is event]
            endpoints = [
                endpoint
                for endpoint in self._webhooks.all
                if endpoint in had or endpoint.wants(event["eventType"])
            ]
        for endpoint in endpoints:
            self._mail.post(event, endpoint)
        return self._sent(len(endpoints))

    def _resend_range(self, call: Call) -> object:
        since, until = call.body["since"], call.body["until"]
        if until <= since:
            raise invalid("until", "must be after since")
        endpoint = self._webhooks.require(call.body["webhookId"])
        had = [letter.event for letter in self._mail.letters if letter.endpoint is endpoint]
        events = [
            event
            for event in self._world.events
            if since <= _happened(event) < until
            and (endpoint.subscribes(event["eventType"]) or event in had)
        ]
        for event in events:
            self._mail.post(event, endpoint)
        return self._sent(len(events))

    def _sent(self, number: int) -> object:
        self._mail.deliver()
        return {"success": True, "messages": number}


def position(cursor: str, end: int) -> int:
    """How many entries of a feed lie before `cursor`. Raises `Refused` 400101."""
    if cursor == "start":
        return end
    if cursor == "begin":
        return 0
    zero, _, number = cursor.partition("-")
    if zero != "0" or not 0 < len(number) <= 15 or set(number) - set("0123456789abcdef"):
        raise invalid("cursor", "must be start, begin or one that was answered")
    return int(number, 16)


def _happened(event: dict[str, object]) -> int:
    return timegm(strptime(str(event["occurrence"]), "%Y-%m-%d %H:%M:%S"))
