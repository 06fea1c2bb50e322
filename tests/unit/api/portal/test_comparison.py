"""Two requests side by side over HTTP: of two callbacks, or of one as two sources send it."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ringback.api.app import create_app
from ringback.core.accounts.account import Account
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.callbacks.callback import CallbackRecord, advance
from ringback.core.callbacks.rendering import render
from ringback.core.callbacks.retry import GiveUp
from ringback.core.http.http_exchange import AttemptResult
from ringback.core.http.outcome import AttemptFailure, NoAnswerOutcome, RefusedOutcome
from ringback.core.policy.source_policy import Source, SourceName
from ringback.core.sources.source_definition import BUILT_IN, Sources
from ringback.ports import Settlement, Store, Transaction
from ringback.ports.callbacks import lane_of
from ringback.settings.load import load
from ringback.settings.setting_definitions import ServerCommand
from ringback.stores.sqlite.store import SqliteStore
from tests.fakes import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    CALLBACK_SID,
    KORE_SECRET,
    NOW,
    TOKENS,
    VAULT,
    a_callback,
    an_account,
    claim_from,
)
from tests.unit.api.caller import Caller
from tests.unit.api.world import THEIRS, dependencies_on, error, fill

OTHER = "CB" + "e" * 32
LIST = "/portal/v1/callbacks"
ONE = f"{LIST}/{CALLBACK_SID}/comparison"
SECOND = timedelta(seconds=1)
TWILIO, KORE = Source
ACME = """\
[sources.acme]
signature = "hmac-sha256"
token = "evt_{hex}"
headers = ["User-Agent: Acme/1.0", "X-Id: {token}", "X-Signature: sha256={signature}"]
"""


async def add(store: Store, *, source: SourceName = KORE, **kinds: Any) -> CallbackRecord:
    sid = kinds.setdefault("sid", CALLBACK_SID)
    is_usual = source in BUILT_IN and sid == CALLBACK_SID
    token = TOKENS[Source(source)] if is_usual else f"token of {sid}"
    callback = a_callback(**{"token": token, **kinds})._replace(source=source)
    await store.transact(lambda tx: tx.callbacks.add(callback))
    return callback


async def send(
    store: Store,
    callback: CallbackRecord,
    *,
    account: Account | None = None,
    sources: Sources = BUILT_IN,
    times: int = 1,
    is_rendered: bool = True,
) -> None:
    """Make attempts of a callback, a second after each other, all of which are refused."""

    def work(tx: Transaction) -> None:
        for number in range(times):
            at = NOW + number * SECOND
            (claim,) = claim_from(tx, lane_of(callback), at, limit=1)
            request = render(callback, account=account or an_account(), at=at, sources=sources)
            outcome = (
                RefusedOutcome(503)
                if is_rendered
                else NoAnswerOutcome(AttemptFailure.SECRET, "made up")
            )
            again = claim.progress._replace(due=at)
            if number == times - 1:
                again = advance(claim.progress, GiveUp("made up"), at)
            result, sent = AttemptResult(outcome), request if is_rendered else None
            tx.callbacks.settle([Settlement(claim, again, result, at, sent)])

    await store.transact(work)


def changes(comparison: Mapping[str, Any]) -> list[str]:
    return [header["change"] for header in comparison["headers"]]


def header(comparison: Mapping[str, Any], which: str, name: str) -> dict[str, Any]:
    (found,) = (
        pair[which] for pair in comparison["headers"] if (pair[which] or {}).get("name") == name
    )
    return found


# ---- one callback, and another source ------------------------------------------------------------


async def test_a_callback_is_compared_with_the_other_sources_request(
    caller: Caller, store: Store
) -> None:
    await send(store, await add(store))
    answer = await caller.get(ONE)
    assert answer.status == 200
    comparison = answer.json
    first, second = comparison["first"], comparison["second"]
    assert (first["source"], first["callback_sid"], first["date_sent"]) == ("twilio", None, None)
    assert (second["source"], second["callback_sid"]) == ("kore", CALLBACK_SID)
    assert second["date_sent"] == "2024-07-03T14:40:58Z"
    assert comparison["summary"] == (
        "Headers: 2 renamed, 1 removed, 1 added, 3 differ; the body is the same."
    )
    assert comparison["counts"] == {"same": 3, "differs": 3, "renamed": 2, "removed": 1, "added": 1}
    assert header(comparison, "first", "I-Twilio-Idempotency-Token") == {
        "name": "I-Twilio-Idempotency-Token",
        "value": None,
        "note": "36 characters, made when it is sent",
    }
    assert header(comparison, "second", "Kore-Idempotency-Token")["value"] == TOKENS[KORE]
    assert (
        second["signature"]["steps"][-1]["value"]
        == (header(comparison, "second", "Kore-Signature")["value"])
    )
    assert first["request_line"] == second["request_line"] == "POST /path?foo=bar HTTP/1.1"
    assert (comparison["request_line_is_same"], comparison["body_is_same"]) == (True, True)
    assert len(comparison["receiver_changes"]) == 4
    assert comparison["parameters"] == []


async def test_twilio_comes_first_whichever_source_sent_it(caller: Caller, store: Store) -> None:
    await add(store, source=TWILIO)
    comparison = (await caller.get(f"{ONE}?Source=kore")).json
    assert [comparison[which]["source"] for which in ("first", "second")] == ["twilio", "kore"]


async def test_an_unsent_callback_is_computed_with_its_own_token(
    caller: Caller, store: Store
) -> None:
    await send(store, await add(store), is_rendered=False)
    comparison = (await caller.get(ONE)).json
    assert comparison["second"]["callback_sid"] == CALLBACK_SID
    assert comparison["second"]["date_sent"] is None
    assert header(comparison, "second", "Kore-Idempotency-Token")["value"] == TOKENS[KORE]
    assert header(comparison, "second", "Date")["value"] is None


async def test_a_sent_request_is_shown_as_it_was_and_not_as_it_would_be_now(
    caller: Caller, store: Store
) -> None:
    old = an_account(kore_secret="of the past", auth_token="of the past")
    await send(store, await add(store), account=old, times=2)
    comparison = (await caller.get(ONE)).json
    sent = (await caller.get(f"{LIST}/{CALLBACK_SID}/attempts")).json["attempts"][1]["request"]
    kore = [pair["second"] for pair in comparison["headers"] if pair["second"]]
    assert [[each["name"], each["value"]] for each in kore] == sent["headers"]
    now = render(a_callback(source=TWILIO), account=an_account(), at=NOW)
    signature = header(comparison, "first", "X-Twilio-Signature")["value"]
    assert signature == dict(now.headers)["X-Twilio-Signature"]
    assert comparison["second"]["date_sent"] == "2024-07-03T14:40:59Z"


async def test_no_secret_is_in_the_answer(caller: Caller, store: Store) -> None:
    await send(store, await add(store, url="http://user:pass-word@a.example/p"))
    answer = await caller.get(ONE)
    for secret in (AUTH_TOKEN, KORE_SECRET, "pass-word", "dXNlcjpwYXNzLXdvcmQ="):
        assert secret not in answer.body.decode()
    assert header(answer.json, "first", "Authorization")["value"] == "(hidden)"


@pytest.fixture
async def with_acme(tmp_path: Path, store: Store) -> tuple[Caller, Sources]:
    path = tmp_path / "ringback.toml"
    path.write_text(ACME)
    settings = load({"settings": str(path)}, {}, command=ServerCommand.SERVE)
    dependencies = dependencies_on(store)
    object.__setattr__(dependencies, "sources", settings.sources)
    caller = Caller(create_app(dependencies), credentials=(ACCOUNT_SID, AUTH_TOKEN))
    return caller, settings.sources


async def test_a_custom_source_can_be_compared_too(
    with_acme: tuple[Caller, Sources], store: Store
) -> None:
    caller, _ = with_acme
    await add(store)
    comparison = (await caller.get(f"{ONE}?Source=acme")).json
    renamed = [pair for pair in comparison["headers"] if pair["change"] == "renamed"]
    assert [(pair["role"], pair["second"]["name"]) for pair in renamed] == [
        ("token", "X-Id"),
        ("signature", "X-Signature"),
    ]
    assert [comparison[which]["source"] for which in ("first", "second")] == ["kore", "acme"]


async def test_a_source_removed_from_the_settings_cannot_be_compared(
    with_acme: tuple[Caller, Sources], caller: Caller, store: Store
) -> None:
    _, sources = with_acme
    await send(store, await add(store, source="acme"), sources=sources)
    assert (await with_acme[0].get(ONE)).status == 200
    assert (await caller.get(ONE)).json == error(
        409,
        20409,
        f"{CALLBACK_SID} came from the source 'acme', which the settings no longer define",
    )


# ---- two callbacks -------------------------------------------------------------------------------


async def test_two_callbacks_are_compared_as_they_were_sent(caller: Caller, store: Store) -> None:
    await send(store, await add(store, source=KORE, body="A=1&B=2"))
    await send(store, await add(store, sid=OTHER, source=TWILIO, body="A=2&B=2", now=NOW + SECOND))
    comparison = (await caller.get(f"{ONE}?Other={OTHER}")).json
    assert comparison["first"]["callback_sid"] == OTHER
    assert comparison["second"]["callback_sid"] == CALLBACK_SID
    assert comparison["parameters"] == [{"name": "A", "first": ["2"], "second": ["1"]}]
    assert not comparison["body_is_same"]


async def test_of_two_callbacks_of_one_source_the_older_one_comes_first(
    caller: Caller, store: Store
) -> None:
    await send(store, await add(store, now=NOW + SECOND))
    await send(store, await add(store, sid=OTHER, now=NOW))
    for target in (f"{ONE}?Other={OTHER}", f"{LIST}/{OTHER}/comparison?Other={CALLBACK_SID}"):
        comparison = (await caller.get(target)).json
        assert comparison["first"]["callback_sid"] == OTHER
        assert comparison["receiver_changes"] == []
        assert changes(comparison).count("differs") == 1


async def test_two_test_events_can_be_compared(caller: Caller, store: Store) -> None:
    for sid in (CALLBACK_SID, OTHER):
        await send(store, await add(store, sid=sid, is_test=True, body='[{"a":1}]'))
    assert (await caller.get(f"{ONE}?Other={OTHER}")).status == 200


# ---- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        (
            "Source=kore",
            409,
            f"{CALLBACK_SID} came from kore itself; compare it with another source",
        ),
        ("Source=nobody", 400, "Source='nobody': Source must be one of twilio, kore"),
        (f"Other={OTHER}&Source=twilio", 400, "give either Other or Source, not both"),
        (
            f"Other={CALLBACK_SID}",
            400,
            f"Other='{CALLBACK_SID}': this is the callback itself; name another callback",
        ),
        (f"Other={OTHER}", 404, f"there is no callback with the SID {OTHER!r}"),
    ],
)  # fmt: skip
async def test_an_impossible_comparison_is_refused_with_the_reason(
    caller: Caller, store: Store, query: str, status: int, message: str
) -> None:
    await add(store)
    answer = await caller.get(f"{ONE}?{query}")
    code = {400: 83600, 404: 20404, 409: 20409}[status]
    assert answer.json == error(status, code, message)


async def test_a_test_event_is_not_computed_for_another_source(
    caller: Caller, store: Store
) -> None:
    await add(store, is_test=True, body="{}")
    assert (await caller.get(ONE)).json == error(
        409,
        20409,
        f"{CALLBACK_SID} is a test event, which comes from kore alone; compare it with another"
        " callback",
    )


async def test_an_unsent_callback_whose_secret_is_gone_is_refused(
    caller: Caller, store: Store
) -> None:
    await add(store, is_test=True, body="{}", secret_id="gone")
    await add(store, sid=OTHER)
    refused = (await caller.get(f"{ONE}?Other={OTHER}")).json
    assert (refused["status"], refused["code"]) == (409, 20409)
    assert refused["message"].startswith(f"{CALLBACK_SID} can't be signed: the webhook secret gone")


async def test_callbacks_of_another_account_are_not_found(caller: Caller, store: Store) -> None:
    await add(store, account_sid=THEIRS)
    await add(store, sid=OTHER)
    for target in (ONE, f"{ONE}?Other={OTHER}", f"{LIST}/{OTHER}/comparison?Other={CALLBACK_SID}"):
        assert (await caller.get(target)).json == error(
            404, 20404, f"there is no callback with the SID {CALLBACK_SID!r}"
        )


async def test_the_servers_store_gives_the_same_answer_as_the_one_in_memory(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "ringback.db", VAULT)
    await store.transact(fill)
    await send(store, await add(store))
    caller = Caller(create_app(dependencies_on(store)), credentials=(ACCOUNT_SID, AUTH_TOKEN))
    comparison = (await caller.get(ONE)).json
    await store.close()
    assert comparison["second"]["url"] == CallbackUrl.parse(a_callback().url.shown).wire
    assert changes(comparison).count("renamed") == 2
