from __future__ import annotations

import pytest

from gstable_server.plumbing.db import Database
from tests.unit.api.conftest import Api

pytestmark = pytest.mark.anyio


async def test_both_prefixes_answer_the_same_routes(api: Api) -> None:
    for prefix in ("/api/v1", "/payment/v1"):
        answer = await api.post(f"{prefix}/note/create", {"noteName": "first"})
        assert answer.status_code == 200
        assert answer.json()["code"] == 0
        assert answer.json()["message"] == "success"
        assert answer.json()["data"]["noteName"] == "first"
        assert answer.headers["x-request-id"].startswith("req_")
    assert await api.events() == 2
