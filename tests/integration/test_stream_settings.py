"""The settings of event streams reach the parts of a real server that use them."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from ringback.core.policy.source_policy import Source
from ringback.operations.context import OperationContext
from ringback.operations.streams.publish import listening, publish
from ringback.ports import Transaction
from ringback.stores.sqlite.write_batch import SqliteWriteBatch
from ringback.testing import Emulator
from tests.streams import STARTED, a_sink, a_subscription, add_stream, an_event_of

START = datetime(2026, 11, 1, tzinfo=UTC)


def test_a_batch_from_kore_waits_and_has_types_as_the_settings_say() -> None:
    settings = {"stream_wait": "10s", "stream_type_prefix": "com.kore"}
    with Emulator(settings=settings, start=START) as emulator:
        sid, url = emulator.account_sid, emulator.receiver.url("/events")

        def work(tx: Transaction, context: OperationContext) -> None:
            sink = a_sink(1, Source.KORE, url, account_sid=sid)
            add_stream(tx, sink, a_subscription(1, Source.KORE, account_sid=sid))
            event = an_event_of(1, account_sid=sid, at=context.now)
            publish(tx, event, listening(tx, sid, context), context)

        emulator._change(work)
        emulator.advance("9s")
        assert emulator.receiver.requests == []
        emulator.advance("1s")
        (request,) = emulator.receiver.requests
        (event,) = json.loads(request.body)
        assert event["type"] == STARTED.replace("com.twilio.", "com.kore.")


def test_an_event_takes_as_many_queries_for_many_sinks_as_for_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked, read = list[str](), SqliteWriteBatch.read

    def noted(batch: SqliteWriteBatch, statement: str, values: Sequence[Any] = ()) -> Any:
        asked.append(statement)
        return read(batch, statement, values)

    def queries_with(sinks: int) -> int:
        with Emulator(start=START) as emulator:
            sid, url = emulator.account_sid, emulator.receiver.url("/events")

            def work(tx: Transaction, context: OperationContext) -> int:
                for one in range(1, sinks + 1):
                    sink = a_sink(one, url=url, account_sid=sid)
                    add_stream(tx, sink, a_subscription(one, account_sid=sid))
                asked.clear()
                event = an_event_of(1, account_sid=sid, at=context.now)
                publish(tx, event, listening(tx, sid, context), context)
                return len(asked)

            return emulator._change(work)

    monkeypatch.setattr(SqliteWriteBatch, "read", noted)
    assert queries_with(20) == queries_with(1) > 0
