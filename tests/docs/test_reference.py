"""Every command, flag, setting, route, fragment key, failure and code is in the reference."""

import re
from pathlib import Path
from typing import cast

import click
import pytest
from starlette.routing import Route

from ringback.api.app import all_routes
from ringback.api.health import HealthChecks, health_routes
from ringback.api.metrics import PrometheusMetrics, metrics_routes
from ringback.api.portal.clock import ClockEndpoints
from ringback.api.portal.policy import PolicyEndpoints
from ringback.api.portal.shadows import MOST_URLS
from ringback.cli.main import main
from ringback.core.callback_urls.connection_overrides import OVERRIDES
from ringback.core.http.outcome import AttemptFailure
from ringback.delivery.shadow_sender import ShadowLimits
from ringback.engine.clock_advancer import ClockAdvancer
from ringback.policy.policy_monitor import PolicyMonitor
from ringback.settings.setting_definitions import SETTINGS, ServerCommand, Setting
from tests.docs import REFERENCE
from tests.memory_store import MemoryStore
from tests.unit.api.world import dependencies_on

ROOT = Path(__file__).parents[2]
NOT_THERE = "\N{EN DASH}"
SOURCES = [path.read_text("utf-8") for path in (ROOT / "src/ringback").rglob("*.py")]


def commands(group: click.Group = main, path: str = "ringback") -> list[tuple[str, click.Command]]:
    """Return all commands with their full names, those of groups among them."""
    context = click.Context(group)
    found = list[tuple[str, click.Command]]()
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        found.append((f"{path} {name}", command))
        if isinstance(command, click.Group):
            found += commands(command, f"{path} {name}")
    return found


@pytest.mark.parametrize(("name", "command"), commands())
def test_each_command_and_each_flag_is_documented(name: str, command: click.Command) -> None:
    assert f"`{name}" in REFERENCE
    for parameter in command.params:
        for flag in parameter.opts:
            if flag.startswith("-"):
                assert f"`{flag}" in REFERENCE, flag


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_each_setting_is_documented_with_its_defaults(setting: Setting) -> None:
    rows = [line for line in REFERENCE.splitlines() if f"| `{setting.variable}` |" in line]
    assert len(rows) == 1
    flag, _, key, *defaults, _ = (cell.strip() for cell in rows[0].strip("|").split("|"))
    assert flag == (f"`{setting.flag}`" if setting.has_flag else NOT_THERE)
    assert key == f"`{setting.name}`"
    assert defaults == [
        _cell(setting, command) for command in (ServerCommand.DEV, ServerCommand.SERVE)
    ]


def _cell(setting: Setting, command: ServerCommand) -> str:
    """What the table has for a command: a dash where it has no such setting."""
    default = setting.default_of(command)
    if not setting.is_for(command):
        return NOT_THERE
    return f"`{default}`" if default else ""


def test_each_route_is_documented() -> None:
    dependencies = dependencies_on(MemoryStore())
    portal = [
        *ClockEndpoints(dependencies, cast("ClockAdvancer", ClockAdvancer)).operations(),
        *PolicyEndpoints(dependencies, cast("PolicyMonitor", PolicyMonitor)).operations(),
    ]
    beside = [
        *health_routes(cast("HealthChecks", HealthChecks)),
        *metrics_routes(cast("PrometheusMetrics", PrometheusMetrics)),
    ]
    for route in all_routes(dependencies, portal=portal, beside=beside):
        assert isinstance(route, Route)
        if route.path.startswith("/docs/"):
            continue  # what the page itself loads
        path = route.path.removeprefix("/supersim")
        for method in (route.methods or set[str]()) - {"HEAD"}:
            assert f"| `{method} {path}` |" in REFERENCE


@pytest.mark.parametrize("key", ["cbs", *OVERRIDES])
def test_each_fragment_key_is_documented(key: str) -> None:
    assert f"`{key}`" in REFERENCE


def test_the_bounds_of_copies_are_documented() -> None:
    bounds, text = ShadowLimits(), " ".join(REFERENCE.split())
    assert (
        f"{bounds.at_once} copies are under way at once, {bounds.per_destination} of them to one"
        f" destination. Up to {bounds.waiting:,} wait, {bounds.waiting_per_destination} of them"
    ) in text
    assert f"the {MOST_URLS} with most differences" in text


@pytest.mark.parametrize("failure", list(AttemptFailure), ids=lambda failure: failure.label)
def test_each_failure_is_documented_with_its_code(failure: AttemptFailure) -> None:
    rows = [line for line in REFERENCE.splitlines() if f"`{failure.label}`" in line]
    assert any(str(failure.code) in row for row in rows)


def test_each_code_of_programmable_wireless_is_explained_once() -> None:
    used = {code for text in SOURCES for code in re.findall(r"\b33[0-9]{3}\b", text)}
    explained = re.findall(r"^\| (33[0-9]{3}) \|", REFERENCE, re.MULTILINE)
    assert explained == sorted(used)
