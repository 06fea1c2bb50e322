"""Each example receiver, under its real server, gets real callbacks from both sources."""

import socket
from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from http.client import HTTPResponse
from itertools import count, cycle
from pathlib import Path
from typing import Final
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.http.http_exchange import OutgoingRequest
from ringback.core.policy.source_policy import Source
from ringback.receiver import SqliteDedupe
from ringback.receiver.dedupe.dedupe_store import ClaimWon, DedupeClaimRequest
from ringback.testing import Emulator, SentCallback
from tests.end_to_end.framework_apps import COMMANDS, EXAMPLES, SERVERS, WITHOUT_GET, App, running
from tests.senders import rendered

FAILING: Final = """
import runpy, sys
def refuse(*words, **options): raise OSError("the disk is full")
runpy.run_path(sys.argv[1], {"print": refuse}, "__main__")
"""


@pytest.fixture(scope="module")
def ringback() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture(scope="module")
def apps(ringback: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, App]]:
    """All examples, started at the same time."""
    folder = tmp_path_factory.mktemp("examples")
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(
                running(
                    command,
                    folder / name,
                    auth_token=ringback.auth_token,
                    kore_secret=ringback.kore_secret,
                )
            )
            for name, command in COMMANDS.items()
        }


@pytest.fixture(scope="module")
def failing_apps(
    ringback: Emulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, App]]:
    """The examples again, with work that raises an error as soon as it has printed its line."""
    folder = tmp_path_factory.mktemp("failing")
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(
                running(
                    ("-c", FAILING, *command),
                    folder / name,
                    auth_token=ringback.auth_token,
                    kore_secret=ringback.kore_secret,
                )
            )
            for name, command in SERVERS.items()
        }


@pytest.fixture(params=COMMANDS)
def app(request: pytest.FixtureRequest, apps: dict[str, App]) -> App:
    app = apps[request.param]
    app.wait()
    return app


# ---- making callbacks ----------------------------------------------------------------------------

STATUSES: Final = defaultdict[str, Iterator[str]](lambda: cycle(["inactive", "active"]))
"""The next statuses of each SIM: a new emulator has a new SIM, which is active."""
NUMBERS: Final = count()


def told_by(
    ringback: Emulator, url: str, method: HttpMethod, *, status: str = "delivered"
) -> SentCallback:
    """Update a SIM, and return the callback that reports this status of it."""
    pair = b64encode(f"{ringback.account_sid}:{ringback.auth_token}".encode()).decode()
    form = {
        "Status": next(STATUSES[ringback.sim_sid]),
        "CallbackUrl": url,
        "CallbackMethod": str(method),
    }
    request = Request(  # noqa: S310 (the URL is the emulator's)
        f"{ringback.base_url}/v1/Sims/{ringback.sim_sid}",
        urlencode(form).encode(),
        {"Authorization": f"Basic {pair}"},
    )
    with urlopen(request) as answer:  # noqa: S310 (likewise)
        assert answer.status == 202
    return ringback.expect_callback(url=url, method=method, status=status, SimStatus=form["Status"])


def made_for(app: App, ringback: Emulator, source: Source) -> OutgoingRequest:
    """Return a callback that no receiver has seen yet."""
    number = f"{next(NUMBERS):032x}"
    tokens = {
        Source.TWILIO: f"{number[:8]}-{number[8:12]}-{number[12:16]}-{number[16:20]}-{number[20:]}",
        Source.KORE: f"RQ{number}",
    }
    return rendered(
        source,
        url=app.url,
        auth_token=ringback.auth_token,
        kore_secret=ringback.kore_secret,
        token=tokens[source],
    )


@dataclass(frozen=True)
class Answered:
    status: int
    text: str
    retry_after: str | None


def send(app: App, request: bytes) -> Answered:
    """Send these bytes, and return the answer."""
    with socket.create_connection(("127.0.0.1", app.port), timeout=10) as connection:
        connection.sendall(request)
        with HTTPResponse(connection) as response:
            response.begin()
            text = response.read().decode()
            return Answered(response.status, text, response.getheader("Retry-After"))


# ---- common behaviour ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("app", "method"),
    [
        (name, method)
        for name in COMMANDS
        for method in HttpMethod
        if method is HttpMethod.POST or name not in WITHOUT_GET
    ],
    indirect=["app"],
)
@pytest.mark.parametrize("source", Source)
def test_a_callback_is_worked_on_once(
    app: App, ringback: Emulator, source: Source, method: HttpMethod
) -> None:
    before = app.lines()
    callback = told_by(ringback, f"{app.url}#cbs={source}", method)
    told = f"SIM {ringback.sim_sid} is {callback.parameters['SimStatus']}"
    (attempt,) = callback.attempts
    assert (callback.source, attempt.status_code) == (source, 200), app.log()
    assert app.lines() == [*before, told]

    assert attempt.request is not None
    replayed = f"{attempt.request.head}\r\n\r\n{attempt.request.body}".encode()
    assert send(app, replayed) == Answered(200, "ok", None)
    assert app.lines() == [*before, told]


@pytest.mark.parametrize("source", Source)
def test_a_changed_body_is_refused(app: App, ringback: Emulator, source: Source) -> None:
    before = app.lines()
    request = made_for(app, ringback, source)
    forged = request.to_bytes().replace(b"SimStatus=inactive", b"SimStatus=INACTIVE")
    assert send(app, forged).status == 403
    assert app.lines() == before


@pytest.mark.parametrize("source", Source)
def test_a_request_without_a_signature_is_refused(
    app: App, ringback: Emulator, source: Source
) -> None:
    before = app.lines()
    head, _, body = made_for(app, ringback, source).to_bytes().partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if b"-Signature:" not in line]
    unsigned = b"\r\n".join(lines) + b"\r\n\r\n" + body
    assert send(app, unsigned) == Answered(400, "no_signature", None)
    assert app.lines() == before


@pytest.mark.parametrize("source", Source)
def test_a_callback_in_progress_in_another_process_is_refused_for_now(
    app: App, ringback: Emulator, source: Source
) -> None:
    before = app.lines()
    request = made_for(app, ringback, source)
    (token,) = (value for name, value in request.headers if name.endswith("-Idempotency-Token"))
    visit = DedupeClaimRequest(
        source, token, "another process", timedelta(hours=1), timedelta(days=7)
    )
    with SqliteDedupe(app.seen) as seen:
        assert isinstance(seen.claim(visit), ClaimWon)
        answered = send(app, request.to_bytes())
        assert answered.status == 503
        assert 3590 < int(answered.retry_after or "") <= 3600
        assert app.lines() == before

        seen.release(visit)
    assert send(app, request.to_bytes()).status == 200
    assert len(app.lines()) == len(before) + 1


def test_other_methods_are_not_allowed(app: App, ringback: Emulator) -> None:
    request = made_for(app, ringback, Source.TWILIO)
    assert send(app, request.to_bytes().replace(b"POST", b"PUT", 1)).status == 405


@pytest.mark.parametrize("name", SERVERS)
def test_failed_work_is_tried_again(
    name: str, failing_apps: dict[str, App], ringback: Emulator
) -> None:
    app = failing_apps[name]
    app.wait()
    request = made_for(app, ringback, Source.KORE).to_bytes()
    # The first failure released the callback: in progress or done, it would get another status.
    assert [send(app, request).status for _ in range(2)] == [500, 500], app.log()


@pytest.mark.parametrize("name", WITHOUT_GET)
def test_a_get_whose_query_was_parsed_is_refused(
    name: str, apps: dict[str, App], ringback: Emulator
) -> None:
    app = apps[name]
    app.wait()
    before = app.lines()
    (attempt,) = told_by(ringback, app.url, HttpMethod.GET, status="failed").attempts
    assert attempt.status_code == 403
    assert app.lines() == before


def test_each_example_is_run() -> None:
    run = {Path(word).stem for command in COMMANDS.values() for word in command}
    assert {path.stem for path in EXAMPLES.glob("*.py")} <= run
