"""From an HTTP response to `data`, or to the error it stands for. Pure.

The rules (specification section 13): the body is JSON with a numeric `code`; a code other than 0
is an error whatever the status; a status other than 2xx is an error whatever the code.
"""

from collections.abc import Callable
from typing import TypeVar

from gstable._errors import GStableError, error_for
from gstable._json import loads
from gstable._reader import Malformed, is_integer
from gstable._transport import Response

Result = TypeVar("Result")

SPECIAL_MESSAGES = {
    401: "Unauthorized: check the API key",
    403: "Forbidden: the API key lacks the permission for this call",
}


def read(response: Response, parse: Callable[[object], Result]) -> Result:
    """The parsed `data`. Raises `GStableError` or the subclass that the code belongs to."""
    data = _data(response)
    try:
        return parse(data)
    except Malformed as broken:
        raise _unexpected(response, str(broken)) from broken


def _data(response: Response) -> object:
    succeeded = 200 <= response.status < 300
    try:
        envelope = loads(response.body)
    except ValueError as broken:
        detail = "the body is not JSON" if response.body else "the body is empty"
        raise _unexpected(response, detail) from broken
    code = envelope.get("code") if isinstance(envelope, dict) else None
    if not isinstance(code, int) or not is_integer(code):
        raise _unexpected(response, "the body has no numeric code")
    if succeeded and code == 0:
        return envelope.get("data")
    message = envelope.get("message")
    if not isinstance(message, str) or not message:
        message = f"HTTP status {response.status}"
    code = code or response.status
    raise error_for(code, message, request_id(response), response.status)


def request_id(response: Response) -> str | None:
    """The platform's name for this exchange (`x-request-id`)."""
    return response.headers.get("x-request-id")


def _unexpected(response: Response, detail: str) -> GStableError:
    message = SPECIAL_MESSAGES.get(response.status, f"Unexpected response: {detail}")
    return GStableError(response.status, message, request_id(response), response.status)
