"""JSON from outside, parsed only when it is shallow."""

import json
import re
from typing import Any

DEPTH_MAX = 200
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")


def loads(body: bytes) -> Any:
    """The value in `body`. Raises `ValueError` for what is not JSON or nested too deep.

    The depth is counted before the parser sees it: its recursion is bounded only by a limit that
    any library in the process may have raised beyond what the stack can hold.
    """
    depth = 0
    if body.count(b"[") + body.count(b"{") > DEPTH_MAX:
        for bracket in _BRACKET.findall(_STRING.sub(b"", body)):
            depth += 1 if bracket in b"[{" else -1
            if depth > DEPTH_MAX:
                raise ValueError(f"nested more than {DEPTH_MAX} levels deep")
    return json.loads(body)
