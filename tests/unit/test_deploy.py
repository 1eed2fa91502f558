"""The examples of deploy/: what can be known of them without the programs that they are for."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import shutil
import subprocess
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from typer.exceptions import TyperException
from typer.main import get_command

from gstable_server.cli.app import app
from gstable_server.plumbing.client_address import TrustedProxies
from gstable_server.plumbing.config import Settings
from gstable_server.plumbing.metrics import REGISTRY, STATE
from gstable_server.serve import Role

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
ROLES = {role.value for role in Role} - {"all"}
SETTINGS = {
    str(field.validation_alias or f"GSTABLE_{name.upper()}")
    for name, field in Settings.model_fields.items()
}


def loaded(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text())


def require_command(words: list[str]) -> None:
    """A command of ours that exists, with options that it has and values that they take."""
    commands: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]
    try:
        commands[words[0]].make_context(words[0], words[1:])
    except TyperException as problem:
        raise AssertionError(words) from problem
    if words[0] == "serve":
        assert words[1:2] == ["--role"]
        assert words[2] in ROLES | {"all"}


@pytest.mark.parametrize(
    "words", [["serve", "--role", "robot"], ["serve", "--rule", "api"], ["migrate", "twice"]]
)
def test_a_command_that_there_is_not_is_found(words: list[str]) -> None:
    with pytest.raises(AssertionError):
        require_command(words)


def test_the_compose_file_runs_every_role_behind_the_migration() -> None:
    services = loaded("compose.yaml")["services"]
    ours = {name: one for name, one in services.items() if one.get("image") == "gstable"}
    assert set(ours) == ROLES | {"migrate"}
    for name, one in ours.items():
        require_command(one["command"])
        assert one["read_only"] is True
        assert one["cap_drop"] == ["ALL"]
        # An image that is built here cannot be fetched, which is tried for a service without it.
        context = (DEPLOY / one["build"]["context"]).resolve()
        assert context == ROOT
        assert (context / one["build"]["dockerfile"]).is_file()
        if name != "migrate":
            assert set(one["environment"]) <= SETTINGS
            assert one["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}
            assert "/health/live" in one["healthcheck"]["test"][-1], "not ready: no restart loop"
    assert services["database"]["networks"] == ["inside"]
    assert [name for name, one in services.items() if "ports" in one] == ["proxy"]


def test_the_compose_file_believes_its_proxy_and_no_other_machine() -> None:
    found = loaded("compose.yaml")
    address = found["services"]["proxy"]["networks"]["outside"]["ipv4_address"]
    assert found["services"]["api"]["environment"]["GSTABLE_TRUSTED_PROXIES"] == address
    [pool] = found["networks"]["outside"]["ipam"]["config"]
    assert ip_address(address) in ip_network(pool["subnet"])
    assert ip_address(address) not in ip_network(pool["ip_range"]), "others may have it first"
    assert TrustedProxies.from_text(address).client_of(address, [b"203.0.113.9"]) == "203.0.113.9"


def test_ops_12_no_secret_stands_in_the_examples() -> None:
    for path in DEPLOY.rglob("*"):
        if path.is_file():
            text = path.read_text()
            assert not re.search(r"\b[0-9a-f]{40,}\b", text), path
            for url in re.findall(r"postgresql://\w+:([^@\s]+)@", text):
                assert url == "…", path
    lines = (DEPLOY / "environment.example").read_text().splitlines()
    named = {line.lstrip("# ").split("=")[0] for line in lines if re.match(r"#? ?[A-Z_]+=", line)}
    assert named <= SETTINGS | {"OTEL_EXPORTER_OTLP_ENDPOINT"}
    required = {name for name, field in Settings.model_fields.items() if field.is_required()}
    assert {f"GSTABLE_{name.upper()}" for name in required} - {"GSTABLE_DATABASE_URL"} <= named


def test_the_containerfile_copies_and_runs_what_there_is() -> None:
    lines = (DEPLOY / "Containerfile").read_text().splitlines()
    for line in lines:
        words = line.split()
        if words[:1] == ["COPY"] and not words[1].startswith("--from"):
            assert all((ROOT / source).exists() for source in words[1:-1]), line
    text = "\n".join(lines)
    assert text.count("install ") == text.count("--require-hashes") + text.count("--no-deps")
    command = json.loads(next(line[4:] for line in lines if line.startswith("CMD")))
    require_command(command)
    assert "USER gstable" in lines


def test_the_image_is_built_of_nothing_without_a_hash() -> None:
    installs = [
        line for line in (DEPLOY / "Containerfile").read_text().splitlines() if "install " in line
    ]
    assert all("--require-hashes" in line or "--offline" in line for line in installs), installs


UNITS = sorted((DEPLOY / "systemd").glob("gstable-*.service"))


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_every_unit_runs_a_command_of_ours(unit: Path) -> None:
    parsed = configparser.ConfigParser(interpolation=None)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read(unit)
    program, *words = shlex.split(parsed["Service"]["ExecStart"])
    assert program.endswith("/bin/gstable")
    require_command(words)
    given = shlex.split(parsed["Service"].get("Environment", ""))
    assert {one.split("=")[0] for one in given} <= SETTINGS


def unit_in_force(unit: Path) -> dict[str, str]:
    """The unit's service section as systemd sees it: the drop-in is read last and wins."""
    parsed = configparser.ConfigParser(interpolation=None, strict=False)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read([unit, DEPLOY / "systemd/gstable-.service.d/hardening.conf"])
    return dict(parsed["Service"])


def test_roles_are_started_again_and_a_migration_that_failed_is_not() -> None:
    restarts = {unit.name.split("@")[0]: unit_in_force(unit).get("Restart") for unit in UNITS}
    assert restarts == {
        **{f"gstable-{role}": "on-failure" for role in ROLES},
        "gstable-migrate.service": None,
    }


def test_there_is_a_template_for_each_role_and_hardening_for_all() -> None:
    assert {unit.name for unit in UNITS} == {
        "gstable-migrate.service",
        *(f"gstable-{role}@.service" for role in ROLES),
    }
    hardening = (DEPLOY / "systemd/gstable-.service.d/hardening.conf").read_text()
    for line in ("NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet=\n"):
        assert line in hardening


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not on this machine")
def test_systemd_understands_the_units(tmp_path: Path) -> None:
    shutil.copytree(DEPLOY / "systemd", tmp_path, dirs_exist_ok=True)
    for unit in tmp_path.glob("*.service"):
        text = re.sub(r"ExecStart=\S+", "ExecStart=/bin/true", unit.read_text())
        unit.with_name(unit.name.replace("@.", "@1.")).write_text(text)
    units = [*tmp_path.glob("gstable-*@1.service"), tmp_path / "gstable-migrate.service"]
    done = subprocess.run(
        [
            "systemd-analyze",
            "verify",
            "--man=no",
            *map(str, units),
            str(tmp_path / "gstable.target"),
        ],
        capture_output=True,
        text=True,
        env={"SYSTEMD_UNIT_PATH": f"{tmp_path}:", "PATH": "/usr/bin:/bin"},
    )
    assert [line for line in done.stderr.splitlines() if str(tmp_path) in line] == []


# --- alarms ---------------------------------------------------------------------------------------

RULES = loaded("prometheus.yaml")["groups"][0]["rules"]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_alarm_is_of_numbers_that_there_are_and_has_its_runbook(rule: Any) -> None:
    counted = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in REGISTRY.collect()
    }
    used = set(re.findall(r"gstable_\w+", rule["expr"]))
    assert used <= counted | set(STATE)
    assert used or rule["expr"].startswith("up{")
    page = (ROOT / rule["annotations"]["runbook"]).read_text()
    assert f"`{rule['alert']}`, {rule['labels']['severity']}" in page


TYPES = {
    **dict.fromkeys(STATE, "gauge"),
    **{
        f"{family.name}_total" if family.type == "counter" else family.name: family.type
        for family in REGISTRY.collect()
    },
}
LABELS = {
    **{name: labels for name, (_, labels) in STATE.items()},
    "gstable_http_requests_total": ("status",),
    "gstable_turn_failures_total": ("what",),
}
OVER_TIME = re.compile(r"(\w+)\((gstable_\w+)(?:\{[^}]*\})?\[\w+\]\)")
SELECTED = re.compile(r"(gstable_\w+)(?:\{([^}]*)\})?")
OF_GAUGES = {"min_over_time", "max_over_time", "absent_over_time"}


def misread(expression: str) -> list[str]:
    """What an expression does with a metric that metrics of its type do not allow."""
    found = []
    for function, name in OVER_TIME.findall(expression):
        fitting = {"increase", "rate"} if TYPES[name] == "counter" else OF_GAUGES
        if function not in fitting:
            found.append(f"{function} of the {TYPES[name]} {name}")
    for name in SELECTED.findall(OVER_TIME.sub("", expression)):
        if TYPES[name[0]] != "gauge":
            found.append(f"the value of the {TYPES[name[0]]} {name[0]}")
    for name, matchers in SELECTED.findall(expression):
        for label in re.findall(r"(\w+)=", matchers):
            if label not in LABELS.get(name, ()):
                found.append(f"{name} has no {label}")
    # What an aggregate keeps apart, each metric in it has.
    for kept, name in re.findall(r"by \(([\w, ]+)\) \((?:\w+\()?(gstable_\w+)", expression):
        found += [f"{name} has no {one}" for one in kept.split(", ") if one not in LABELS[name]]
    return found


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_alarms_use_each_number_as_its_type_allows(rule: Any) -> None:
    assert misread(rule["expr"]) == []


@pytest.mark.parametrize(
    "expression",
    [
        "max(delta(gstable_webhook_messages_exhausted[1h])) > 0",
        "sum(increase(gstable_jobs_failed[1h])) > 0",
        "gstable_turn_failures_total > 3",
        'max(gstable_network_halted{chain="x"}) == 1',
        "max by (what) (gstable_network_halted) == 1",
        "sum by (network) (increase(gstable_turn_failures_total[10m])) > 20",
    ],
)
def test_an_alarm_that_misreads_a_number_is_found(expression: str) -> None:
    assert len(misread(expression)) == 1


def test_books_that_were_never_compared_or_not_with_every_network_raise_an_alarm() -> None:
    [rule] = [rule for rule in RULES if rule["alert"] == "GstableBooksNotCompared"]
    # A node that refuses old logs leaves a fresh comparison that compared nothing.
    assert "gstable_reconciliation_networks_unread" in rule["expr"]
    assert "absent_over_time(gstable_reconciliation_age_seconds" in rule["expr"]


def test_the_guide_lists_every_alarm_and_every_runbook_has_one() -> None:
    guide = (ROOT / "docs/guide/operate.md").read_text()
    rows = re.findall(r"^\| `(Gstable\w+)` \| (\w+) \|.*\(\.\./(runbooks/\S+)\)", guide, re.M)
    assert rows == [
        (
            rule["alert"],
            rule["labels"]["severity"],
            rule["annotations"]["runbook"].removeprefix("docs/"),
        )
        for rule in RULES
    ]
    pages = {path.name for path in (ROOT / "docs/runbooks").glob("*.md")} - {"README.md"}
    assert {Path(page).name for _, _, page in rows} == pages
