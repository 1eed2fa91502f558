"""The protocol in the OpenAPI document: beside merchants' paths, because some are the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gstable_server.api.docs import page
from gstable_server.cli.openapi import every_agent_route


def test_agents_paths_have_a_server_of_their_own_and_no_key(repository: Path) -> None:
    document: Any = json.loads((repository / "openapi.json").read_bytes())
    routes = every_agent_route()
    assert len(routes) == 4
    for route in routes:
        row = document["paths"]["/api/v1" + route.path]
        assert row["servers"] == [{"url": "/aipay"}]
        operation = row[route.method.lower()]
        assert operation["security"] == []
        assert operation["tags"] == ["AI payments"]
        assert ("requestBody" in operation) == (route.method == "POST")
    # The merchants' paths of the same name stay as they are.
    assert "servers" not in document["paths"]["/payment/link/{linkId}"]
    shown = page(document)
    for route in routes:
        assert f"<code>/aipay/api/v1{route.path}</code>" in shown
    assert "<code>/payment/link/{linkId}</code>" in shown
