"""`ringback test-event` and `ringback secrets rehearse`, against an emulator."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import click
import pytest
from click.testing import CliRunner, Result

from ringback.cli.main import main
from ringback.cli.webhook_secrets import rehearse
from ringback.operations.accounts import fetch_account
from ringback.operations.api_keys import create_key
from ringback.operations.context import OperationContext
from ringback.operations.webhook_secrets import create_secret
from ringback.portal_client import PortalClient
from ringback.ports import Transaction
from ringback.receiver import Receiver, Rejected
from ringback.receiver.verification import ReceiverSecrets, check
from ringback.receiver.verification.verdict import Verified
from ringback.testing import Emulator
from tests.ports import free_port
from tests.receivers import OK, Answering, ReceivingServer


def run(ringback: Emulator, command: click.Command, *words: str) -> Result:
    who = ("--account-sid", ringback.account_sid, "--auth-token", ringback.auth_token)
    return CliRunner().invoke(command, [*words, "--server", ringback.base_url, *who])


def new_pending(ringback: Emulator) -> tuple[str, str]:
    """Make a pending secret, and return its id and its value."""

    def make(tx: Transaction, moment: OperationContext) -> tuple[str, str]:
        account = fetch_account(tx, ringback.account_sid)
        _, secret = create_secret(tx, account, "next", moment)
        return secret.id, secret.value

    return ringback._change(make)


@pytest.fixture
def nobody() -> str:
    """A URL where nobody listens."""
    return f"http://127.0.0.1:{free_port()}/"


def test_a_test_event_that_is_accepted_is_shown_with_its_answer(ringback: Emulator) -> None:
    done = run(ringback, main, "test-event", ringback.receiver.url("/hook"))
    assert done.exit_code == 0, done.output
    assert "delivered: the receiver answered 200 OK" in done.output
    assert "  > Content-Type: application/json; charset=utf-8" in done.output
    assert '  > [{"data":{"test_id":' in done.output
    (got,) = ringback.receiver.requests
    secrets = ReceiverSecrets(kore_secrets=(ringback.kore_secret,))
    urls = [ringback.receiver.url("/hook")]
    assert isinstance(check(got, urls=urls, secrets=secrets), Verified)


def test_a_test_event_is_printed_as_json_too(ringback: Emulator, nobody: str) -> None:
    done = run(ringback, main, "test-event", ringback.receiver.url("/hook"), "--json")
    event = json.loads(done.stdout)
    assert (done.exit_code, event["is_test"], event["status"]) == (0, True, "delivered")
    assert [attempt["status_code"] for attempt in event["attempts"]] == [200]
    failed = run(ringback, main, "test-event", nobody, "--json")
    assert (failed.exit_code, json.loads(failed.stdout)["status"]) == (1, "failed")


def test_a_test_event_by_get_is_accepted_as_well(ringback: Emulator) -> None:
    url = ringback.receiver.url("/hook?x=1")
    assert run(ringback, main, "test-event", url, "--method", "GET").exit_code == 0
    (got,) = ringback.receiver.requests
    assert (got.method, got.target, got.body) == ("GET", "/hook?x=1", b"")


def test_an_answer_that_takes_its_time_is_waited_for(ringback: Emulator) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer_late() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                time.sleep(0.3)
                connection.sendall(OK)

        answering = Thread(target=answer_late)
        answering.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        done = run(ringback, main, "test-event", url)
        answering.join()
    assert done.exit_code == 0, done.output
    assert "delivered: the receiver answered 200 OK" in done.output


def test_a_test_event_that_is_refused_is_told_by_the_exit_code(ringback: Emulator) -> None:
    ringback.receiver.fail(401)
    done = run(ringback, main, "test-event", ringback.receiver.url())
    assert done.exit_code == 1
    assert "refused [11217]: the receiver answered 401 Unauthorized" in done.output


def test_so_is_one_that_reaches_nobody(ringback: Emulator, nobody: str) -> None:
    done = run(ringback, main, "test-event", nobody)
    assert done.exit_code == 1
    assert "attempt 2" in done.output, "it is tried for one round"
    assert "unreachable [11205]" in done.output


@contextmanager
def checking(secret: str, *, refuses_with: int = 403) -> Iterator[str]:
    """Yield the URL of a receiver that accepts only what this secret signs."""
    with ReceivingServer(("127.0.0.1", 0), Answering) as server:
        receiver = Receiver(server.url, kore_secrets=[secret])
        server.refuses_with = refuses_with
        server.accepts = lambda request: not isinstance(receiver.receive_request(request), Rejected)
        thread = Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        try:
            yield server.url
        finally:
            server.shutdown()
            thread.join()


def test_a_rehearsal_that_all_accept_says_how_to_go_on(ringback: Emulator) -> None:
    secret_id, value = new_pending(ringback)
    with checking(value) as url:
        done = run(ringback, rehearse, url)
        record = json.loads(run(ringback, rehearse, url, "--json").stdout)
    assert done.exit_code == 0, done.output
    assert done.output.splitlines() == [
        f"accepted      POST  {url}",
        "1 of 1 accept the pending secret and refuse a forgery; activate it with"
        f" `ringback secrets activate {secret_id}`",
    ]
    assert (record["secret_id"], record["ready"]) == (secret_id, 1)
    (receiver,) = record["receivers"]
    assert (receiver["url"], receiver["accepted"], receiver["accepts_forgeries"]) == (
        url,
        True,
        False,
    )
    assert receiver["problem"] is None
    undelivered = PortalClient(ringback.base_url, ringback.account_sid, ringback.auth_token).get(
        "undelivered"
    )
    assert {one["status"] for one in undelivered["callbacks"]} == {"discarded"}


def test_a_receiver_that_accepts_a_forgery_proves_nothing(ringback: Emulator) -> None:
    _, value = new_pending(ringback)
    careless = ringback.receiver.url("/a")
    with checking(value) as right:
        done = run(ringback, rehearse, careless, right)
    assert done.exit_code == 1
    first, second, last = done.output.splitlines()
    proves_nothing = "it accepted a forged test event too, so this proves nothing"
    assert first == f"accepts all   POST  {careless}  {proves_nothing}"
    assert second == f"accepted      POST  {right}"
    assert last.startswith("1 of 2 accept the pending secret and refuse a forgery; `ringback probe")
    secrets = ReceiverSecrets(kore_secrets=(value,))
    verdicts = [
        isinstance(check(got, urls=[careless], secrets=secrets), Verified)
        for got in ringback.receiver.requests
    ]
    assert sorted(verdicts) == [False, True], "one is signed by the pending secret, one is forged"


def test_a_receiver_that_crashes_at_a_forgery_is_not_ready(ringback: Emulator) -> None:
    _, value = new_pending(ringback)
    with checking(value, refuses_with=500) as url:
        done = run(ringback, rehearse, url)
        record = json.loads(run(ringback, rehearse, url, "--json").stdout)
    problem = (
        "it does not refuse a request signed with another secret with a 4xx: the receiver answered"
        " 500 Internal Server Error"
    )
    assert done.exit_code == 1
    assert done.output.splitlines()[0] == f"not ready     POST  {url}  {problem}"
    (receiver,) = record["receivers"]
    assert (receiver["problem"], receiver["accepts_forgeries"]) == (problem, False)


def test_a_receiver_that_does_not_know_the_pending_secret_refuses_both(ringback: Emulator) -> None:
    new_pending(ringback)
    with checking(ringback.kore_secret) as url:
        done = run(ringback, rehearse, url)
    assert done.exit_code == 1
    assert done.output.splitlines()[0] == f"refused 403   POST  {url}"


def test_a_rehearsal_says_who_can_not_be_reached(ringback: Emulator, nobody: str) -> None:
    new_pending(ringback)
    done = run(ringback, rehearse, nobody)
    assert done.exit_code == 1
    first, last = done.output.splitlines()
    assert first == f"unreachable   POST  {nobody}  connect"
    assert last.startswith("0 of 1 accept the pending secret and refuse a forgery; `ringback probe")


def test_without_a_pending_secret_there_is_no_rehearsal(ringback: Emulator) -> None:
    done = run(ringback, rehearse, ringback.receiver.url())
    assert done.exit_code == 1
    assert "no webhook secret is pending" in str(done.exception)
    assert ringback.receiver.requests == []


@pytest.mark.parametrize(
    "words",
    [("test-event", "http://127.0.0.1:9/"), ("secrets", "rehearse"), ("trigger", "sim.active")],
)
def test_on_a_paused_server_it_says_so_instead_of_waiting(
    ringback: Emulator, words: tuple[str, ...]
) -> None:
    made = ringback._change(lambda tx, context: create_key(tx, None, "ops", context))
    operators = PortalClient(ringback.base_url, made.key.sid, made.secret)
    operators.post("pause", form={"Reason": "moving house"})
    try:
        refused = run(ringback, main, *words)
    finally:
        operators.post("resume")
    assert refused.exit_code != 0
    assert "the server is paused (moving house), so it sends nothing" in refused.output
    assert "until `ringback resume`" in refused.output
    assert ringback.callbacks() == []
