"""What the guides of the agent client show runs, and is what the client has."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from gstable import agent as package
from gstable.agent import AgentClient, AgentError, SpendLimits, cli
from tests.unit.agent_client.platform import CHAIN_ID, DOOR, KEY, NODE, PRICE, Platform

GUIDE = Path("docs") / "guide"
JSON_TYPES = {str: "string", int: "integer"}


def blocks(file: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", file.read_text(), re.MULTILINE | re.DOTALL)


def defined(file: Path) -> dict[str, Any]:
    """The names that the one Python block of a guide defines."""
    [source] = blocks(file, "python")
    names: dict[str, Any] = {}
    exec(compile(source, file.name, "exec", dont_inherit=True), names)
    return names


def table(file: Path, heading: str) -> list[str]:
    """The first code span of each row of the table that begins with a heading."""
    _, _, rest = file.read_text().partition(f"| {heading} |")
    rows = re.split(r"\n(?!\|)", rest)[0]
    return re.findall(r"^\| `(\w+)", rows, re.MULTILINE)


@pytest.fixture
def client_guide(repository: Path) -> Path:
    return repository / GUIDE / "agent-client.md"


@pytest.fixture
def models_guide(repository: Path) -> Path:
    return repository / GUIDE / "language-models.md"


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Platform:
    """A platform that every client of this test reaches, at the clock of this machine."""
    import time

    platform = Platform(now=time.time() + 60)
    monkeypatch.setattr("gstable.agent._sync.client.HTTPTransport", lambda: platform.transport)
    return platform


def test_the_example_of_the_guide_pays(
    client_guide: Path,
    platform: Platform,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    buy = defined(client_guide)["buy"]
    receipt = buy(KEY, NODE, "lnk_1", DOOR, tmp_path / "spent.json")
    assert receipt.amount == PRICE
    assert "Approve exactly 3.009 USDC" in capsys.readouterr().out
    platform.balance = 0
    assert buy(KEY, NODE, "lnk_1", DOOR, tmp_path / "spent.json") is None


def test_the_guide_names_every_method_limit_and_error(client_guide: Path) -> None:
    methods = {name for name, _ in inspect.getmembers(AgentClient, inspect.isfunction)}
    public = {name for name in methods if not name.startswith("_")} - {"close"}
    assert set(table(client_guide, "method")) == public
    assert table(client_guide, "field of `SpendLimits`") == list(SpendLimits.__dataclass_fields__)
    errors = {
        name
        for name in package.__all__
        if inspect.isclass(found := getattr(package, name)) and issubclass(found, AgentError)
    }
    assert set(table(client_guide, "error")) == errors - {"AgentError"}


def test_the_commands_of_the_guide_are_understood(client_guide: Path) -> None:
    lines = [line for block in blocks(client_guide, "sh") for line in block.splitlines()]
    commands = [line.split()[1:] for line in lines if line.startswith("gstable-agent")]
    assert len(commands) == 4
    for arguments in commands:
        assert cli._parser().parse_args(arguments).command == arguments[0]


def test_the_tools_are_the_clients_methods(models_guide: Path) -> None:
    [text] = blocks(models_guide, "json")
    tools = {tool["name"]: tool for tool in json.loads(text)}
    methods = defined(models_guide)["METHODS"]
    assert list(tools) == list(methods) or set(tools) == set(methods)
    for name, method_name in methods.items():
        method = getattr(AgentClient, method_name)
        parameters = list(inspect.signature(method).parameters.values())[1:]
        schema = tools[name]["input_schema"]
        assert schema["type"] == "object"
        assert schema["additionalProperties"] is False
        assert list(schema["properties"]) == [one.name for one in parameters], name
        needed = [one.name for one in parameters if one.default is inspect.Parameter.empty]
        assert schema["required"] == needed, name
        hints = get_type_hints(method)
        for parameter, described in schema["properties"].items():
            kinds = get_args(hints[parameter]) or (hints[parameter],)
            [kind] = [kind for kind in kinds if kind is not type(None)]
            assert described["type"] == JSON_TYPES[kind], (name, parameter)


def test_the_prompt_names_only_tools_that_there_are(models_guide: Path) -> None:
    [prompt] = blocks(models_guide, "text")
    named = set(re.findall(r"\b(?:get|plan|pay|create|prepare)_\w+", prompt))
    assert named
    assert named <= set(defined(models_guide)["METHODS"])
    for word in ("private key", "Never sign", "exactly", "another chain", "word for word"):
        assert word in prompt


def test_a_runtime_runs_the_tools(models_guide: Path, platform: Platform) -> None:
    run_tool = defined(models_guide)["run_tool"]
    client = platform.client()
    paying = {"link_id": "lnk_1", "chain_id": CHAIN_ID}
    assert json.loads(run_tool(client, "plan_payment", paying))["amount"] == PRICE
    session = json.loads(run_tool(client, "create_payment_session", paying))
    named = {"session_id": session["session_id"]}
    prepared = json.loads(run_tool(client, "prepare_payment", named))
    assert prepared["calldata"].startswith("0x")
    assert json.loads(run_tool(client, "pay_payment_session", named))["amount"] == PRICE
    stage = json.loads(run_tool(client, "get_payment_session", named))["stage"]
    assert stage == "payment_completed"
    refused = json.loads(run_tool(client, "pay_payment_link", {**paying, "chain_id": 1}))
    assert refused == {
        "error": "NotPayable", "code": -1, "message": "it cannot be paid on chain 1"
    }  # fmt: skip
    platform.completing = False
    pending = json.loads(run_tool(client, "pay_payment_link", paying))
    assert (pending["error"], pending["session_id"]) == ("PaymentPending", "sess_2")
