"""The reference has every command, option, setting, route, fragment key, failure and code."""

import re
from pathlib import Path
from typing import cast

import click
import pytest
from starlette.routing import Route

from docs_build import reference
from ringback.api.all_routes import all_routes
from ringback.api.health import HealthChecks, health_routes, metrics_routes
from ringback.api.portal.clock import ClockEndpoints
from ringback.api.portal.plan_views import PlanViewEndpoints, PlanViewer
from ringback.api.portal.policy import PolicyEndpoints
from ringback.api.portal.policy_changes import PolicyChangeEndpoints
from ringback.api.portal.policy_outlook import PolicyOutlookEndpoints
from ringback.api.portal.receiver_checks import ReceiverCheckEndpoints
from ringback.api.portal.shadows import MOST_URLS
from ringback.core.callback_urls.connection_overrides import OVERRIDES
from ringback.core.http.outcome import AttemptFailure
from ringback.delivery.shadow_sender import ShadowLimits
from ringback.engine.clock_advancer import ClockAdvancer
from ringback.policy.policy_monitor import PolicyMonitor
from ringback.policy.stored_policy import StoredPolicy
from tests.docs import REFERENCE
from tests.memory_store import MemoryStore
from tests.unit.api.world import dependencies_on, found_ready

ROOT = Path(__file__).parents[2]
PAGES = sorted(reference.PAGES.rglob("*.md"))
SOURCES = [path.read_text("utf-8") for path in (ROOT / "src/ringback").rglob("*.py")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(reference.PAGES)))
def test_tables_say_what_the_code_says(page: Path) -> None:
    """If this fails, `make reference` writes the tables."""
    text = page.read_text("utf-8")
    assert reference.written(text) == text


def test_each_command_has_a_section_of_one_page() -> None:
    described = [name for page in PAGES for name in reference.named(page.read_text(), "options")]
    leaves = [
        name
        for name, command in reference.commands().items()
        if not isinstance(command, click.Group)
    ]
    assert sorted(described) == sorted(leaves)


def test_each_page_is_in_the_index() -> None:
    index = (reference.PAGES / "index.md").read_text("utf-8")
    for page in PAGES:
        path = page.relative_to(reference.PAGES).as_posix()
        assert path == "index.md" or f"]({path})" in index, path


@pytest.mark.parametrize("kind", ["settings", "scenarios", "triggers"])
def test_tables_without_a_command_are_on_one_page(kind: str) -> None:
    assert REFERENCE.count(f"<!-- {kind} -->") == 1


def test_a_pipe_or_an_asterisk_of_a_help_text_stays_a_character_of_its_cell() -> None:
    command = click.Command(
        "show",
        params=[
            click.Option(["--url", "-u"], metavar="URL|FILE", help="See `a|b*` and a.example/*"),
            click.Option(
                ["--wait"], type=click.IntRange(1), default=5, show_default=True, help="S"
            ),
        ],
    )
    options = [param for param in command.params if isinstance(param, click.Option)]
    assert list(reference.option_rows(options, click.Context(command))) == [
        r"| `-u`, <code>--url URL&#124;FILE</code> | See <code>a&#124;b*</code> and a.example/\* |",
        "| `--wait INTEGER RANGE` | S Default: `5`. Range: 1 or more. |",
    ]


def test_each_route_is_documented() -> None:
    dependencies = dependencies_on(MemoryStore())
    portal = [
        *ClockEndpoints(dependencies, cast("ClockAdvancer", ClockAdvancer)).operations(),
        *PolicyEndpoints(
            dependencies, cast("PolicyMonitor", PolicyMonitor), cast("StoredPolicy", StoredPolicy)
        ).operations(),
        *PlanViewEndpoints(dependencies, cast("PlanViewer", object())).operations(),
        *PolicyChangeEndpoints(
            dependencies,
            cast("PolicyMonitor", PolicyMonitor),
            cast("StoredPolicy", StoredPolicy),
            str,
        ).operations(),
        *PolicyOutlookEndpoints(dependencies, cast("PolicyMonitor", PolicyMonitor)).operations(),
        *ReceiverCheckEndpoints(dependencies, found_ready, lambda _: None).operations(),
    ]
    beside = [
        *health_routes(cast("HealthChecks", HealthChecks)),
        *metrics_routes(lambda: pytest.fail("nobody asks for metrics")),
    ]
    for route in (*all_routes(dependencies, portal), *beside):
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
        f"At most {bounds.at_once} copies are sent at the same time, and at most"
        f" {bounds.per_destination} of these to one destination. At most {bounds.waiting:,} copies"
        f" wait, and at most {bounds.waiting_per_destination} of these for one destination."
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
