"""The package as a whole: its names, its import, its generated half, and its documents."""

import importlib.util
import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import gstable
from gstable import Client
from tests.unit.sdk import samples
from tests.unit.sdk.support import LittleServer, Step, answering, envelope, little_server

ROOT = Path(__file__).parents[3]
SDK = ROOT / "sdk"
README = (SDK / "README.md").read_text(encoding="utf-8")
GUIDE = (ROOT / "docs" / "guide" / "sdk.md").read_text(encoding="utf-8")


def python_blocks(text: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def test_all_names_exactly_what_is_public() -> None:
    real = {
        name
        for name, value in vars(gstable).items()
        if not name.startswith("_") and not (isinstance(value, ModuleType) and name != "webhooks")
    }
    assert real | {"__version__"} == set(gstable.__all__)
    assert sorted(gstable.__all__) == gstable.__all__


def test_webhooks_names_exactly_what_is_public() -> None:
    from gstable import webhooks

    assert set(webhooks.__all__) == {"Event", "SignatureError", "example", "verify"}
    assert all(hasattr(webhooks, name) for name in webhooks.__all__)


def test_testing_names_exactly_what_is_public_and_documents_it() -> None:
    from gstable import testing

    assert set(testing.__all__) == {"Delivery", "FakeAccount", "FakeClock", "FakeGStable"}
    for name in testing.__all__:
        value = getattr(testing, name)
        assert value.__doc__, name
        for member_name, member in vars(value).items():
            if callable(member) or isinstance(member, property):
                assert member_name.startswith("_") or member.__doc__, f"{name}.{member_name}"
    assert not [name for name in vars(testing) if not name.startswith("_")
                and name not in testing.__all__]  # fmt: skip


def test_modules_are_private_but_webhooks() -> None:
    modules = {path.stem for path in (SDK / "src" / "gstable").iterdir() if path.suffix == ".py"}
    assert {name for name in modules if not name.startswith("_")} == {"webhooks"}
    assert (SDK / "src" / "gstable" / "py.typed").is_file()


def test_every_public_thing_is_documented() -> None:
    for name in gstable.__all__:
        value = getattr(gstable, name)
        if inspect.isclass(value) or isinstance(value, ModuleType):
            assert value.__doc__, name
    for client in (Client("sk_1", transport=answering(None)),):
        for namespace in vars(client).values():
            for name, method in inspect.getmembers(namespace, inspect.ismethod):
                assert name.startswith("_") or method.__doc__, name


def test_import_is_lean() -> None:
    code = (
        "import sys, gstable\n"
        "heavy = {'httpx2', 'httpcore2', 'anyio', 'asyncio', 'ssl', 'email', 'http.client'}\n"
        "sys.exit(' '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    path = str(SDK / "src")
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {path!r})\n{code}"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_version_is_the_one_of_the_distribution() -> None:
    text = (SDK / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{gstable.__version__}"' in text


# --- the generated half ---------------------------------------------------------------------------


@pytest.fixture
def unasync() -> Any:
    spec = importlib.util.spec_from_file_location("unasync", SDK / "scripts" / "unasync.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_synchronous_half_is_fresh() -> None:
    script = str(SDK / "scripts" / "unasync.py")
    done = subprocess.run(
        [sys.executable, script, "--check"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_stale_half_is_noticed(unasync: Any, tmp_path: Path, capsys: Any) -> None:
    source = tmp_path / "_async"
    source.mkdir()
    (source / "a.py").write_text("async def a() -> None:\n    await b()\n")
    unasync.PACKAGE = tmp_path
    assert unasync.main(["--check"]) == 1
    assert unasync.main([]) == 0
    assert unasync.main(["--check"]) == 0
    assert "def a() -> None:\n    b()\n" in (tmp_path / "_sync" / "a.py").read_text()
    with (source / "a.py").open("a") as file:
        file.write("# changed\n")
    assert unasync.main(["--check"]) == 1
    unasync.main([])
    (tmp_path / "_sync" / "orphan.py").write_text("")
    assert unasync.main(["--check"]) == 1
    assert "orphan.py is stale" in capsys.readouterr().err
    assert unasync.main([]) == 0
    assert not (tmp_path / "_sync" / "orphan.py").exists()
    assert unasync.main(["--what"]) == 2


def test_nothing_asynchronous_is_left_in_the_synchronous_half() -> None:
    for path in (SDK / "src" / "gstable" / "_sync").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\b(async|await|anyio|Async\w*|Awaitable|_async)\b(?!/)", text), path


# --- the documents --------------------------------------------------------------------------------


def test_the_readme_maps_every_call_of_the_javascript_sdk() -> None:
    rows = dict(
        re.findall(r"^\| `client\.(\w+\.\w+)\(.*?\)` \| `client\.(\w+\.\w+)\(", README, re.M)
    )
    assert len(rows) == 33
    client = Client("sk_1", transport=answering(None))
    for javascript, python in rows.items():
        snake = re.sub(r"([A-Z])", lambda match: "_" + match[1].lower(), javascript)
        assert python == snake
        namespace, method = python.split(".")
        assert callable(getattr(getattr(client, namespace), method))
    iterated = set(re.findall(r"`client\.(\w+\.iterate\w*)\(\)`", README))
    assert len(iterated) == 8
    for name in iterated:
        namespace, method = name.split(".")
        assert callable(getattr(getattr(client, namespace), method))


@pytest.mark.parametrize("block", python_blocks(GUIDE), ids=lambda block: block.split("\n")[0][:30])
def test_the_guide_executes(block: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(block, "docs/guide/sdk.md", "exec"), {"__name__": "guide"})
    if "except GStableCommonError" in block:
        assert capsys.readouterr().out == "400101 Invalid field format: name is required\n"


PLAN: list[tuple[str, Any]] = [
    ("/api/v1/product/create", samples.PRODUCT),
    ("/api/v1/product/create", samples.PRODUCT),
    ("/api/v1/product/list/by/ids", [samples.PRODUCT]),
    ("/api/v1/account/detail/acc_1", samples.ACCOUNT),
    ("/api/v1/payment/link/create", samples.LINK),
    ("/api/v1/session/checkout/create", samples.SESSION),
    ("/api/v1/webhook/create", samples.WEBHOOK),
    ("/api/v1/session/sess_1", samples.DETAIL),
    ("/api/v1/session/sess_0000000000000000000000000example", samples.DETAIL),
]


def test_the_five_steps_of_the_readme_execute(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every call in order over real HTTP; the contract tests run it against the real server."""
    (block,) = python_blocks(README)
    with little_server() as server:
        server.plan = [envelope(data) for _, data in PLAN] + [Step(500)]
        monkeypatch.setenv("GSTABLE_API_KEY", "sk_test_1")
        monkeypatch.setenv("GSTABLE_BASE_URL", f"{server.url}/api/v1")
        monkeypatch.setenv("GSTABLE_PUBLIC_BASE_URL", f"{server.url}/public/api/v1")
        monkeypatch.setenv("GSTABLE_ACCOUNT_ID", "acc_1")
        names: dict[str, Any] = {"__name__": "readme"}
        exec(compile(block, "sdk/README.md", "exec"), names)
        statuses = receive_some(names["receive"])
        names["client"].close()
        assert_in_order(server)
    assert statuses == [200, 200, 400]
    told = capsys.readouterr().out
    assert "share https://pay.example.com/link/lnk_1" in told
    assert "send the buyer to https://pay.example.com/pay/sess_1" in told
    assert "is initialized" in told
    assert "ship {'orderId': '1'" in told


def receive_some(receive: Any) -> list[int]:
    key = samples.WEBHOOK["key"]
    completed = gstable.webhooks.example("session.completed", key)
    paid = gstable.webhooks.example("session.paid", key)
    forged = gstable.webhooks.example("session.completed", "wkk_other")
    return [receive(body, headers) for body, headers in (completed, paid, forged)]


def assert_in_order(server: LittleServer) -> None:
    assert [seen.path for seen in server.seen] == [path for path, _ in PLAN]
