"""Storage, workers and API, each without the others, as in separate processes."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ringback.api.cooperative_yield import CooperativeYield, rest_in_pages
from ringback.application.api import HttpApi, WorkerServicesForApi
from ringback.application.background_workers import BackgroundWorkers, OpenTransports
from ringback.application.process_dependencies import ProcessDependencies
from ringback.application.server_process import services_of
from ringback.application.storage import OpenStorage
from ringback.core.callbacks.shards import Role
from ringback.core.errors import StoreUnavailable
from ringback.core.policy.source_policy import PhaseHold
from ringback.ports import Transaction
from ringback.runtime.database_outage import PAUSE
from ringback.runtime.virtual_clock import VirtualClock
from ringback.settings.load import load
from ringback.settings.setting_definitions import ServerCommand
from ringback.settings.settings_reloader import SettingsReloader
from tests.crash.driver import writing_nothing_while
from tests.fakes import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    CALLBACK_SID,
    NOW,
    a_callback,
    a_fleet,
    a_profile,
    a_sim,
    an_account,
)
from tests.receivers import RecordingReceiver
from tests.unit.api.caller import Caller

CALLBACKS = "/portal/v1/callbacks"
SIM = "/v1/Sims/my_super_sim"
BATCH = 65
"""One more than are stored as single callbacks."""


def flags_of(data: Path) -> dict[str, str | None]:
    return {"data": str(data), "allow": "loopback", "update_takes": "0s"}


def a_process(
    data: Path, settings: Path | None = None, *, role: Role = Role.ALL
) -> ProcessDependencies:
    """Return the dependencies of a separate process, in which time stands still."""
    flags = {**flags_of(data), "settings": settings and str(settings)}
    loaded = load(flags, {}, command=ServerCommand.SERVE)
    return ProcessDependencies(replace(loaded, role=role), VirtualClock.stopped(NOW))


@asynccontextmanager
async def a_storage(process: ProcessDependencies) -> AsyncIterator[OpenStorage]:
    storage = OpenStorage.open(process)
    try:
        yield storage
    finally:
        await storage.store.close()


@asynccontextmanager
async def workers(data: Path) -> AsyncIterator[BackgroundWorkers]:
    process = a_process(data)
    network = OpenTransports.open(process)
    async with a_storage(process) as storage:
        its = BackgroundWorkers(process, storage, network)
        await its.start()
        try:
            yield its
        finally:
            await its.stop()


@asynccontextmanager
async def an_api(
    data: Path, services: Callable[[BackgroundWorkers], WorkerServicesForApi] = services_of
) -> AsyncIterator[Caller]:
    process = a_process(data, role=Role.API)
    network = OpenTransports.open(process)
    async with a_storage(process) as storage:
        await storage.store.transact(plant)
        its = BackgroundWorkers(process, storage, network)
        await its.start()
        api = HttpApi(process, storage, services(its))
        yield Caller(api.app, credentials=(ACCOUNT_SID, AUTH_TOKEN))
        await its.stop()


def plant(tx: Transaction) -> None:
    """Add an account with a SIM."""
    tx.accounts.add(an_account(), [])
    tx.supersim.access_profiles.add(a_profile())
    tx.supersim.fleets.add(a_fleet())
    tx.supersim.sims.add(a_sim())


async def post(caller: Caller, document: Any) -> Any:
    headers = {"content-type": "application/json"}
    answer = await caller.call("POST", CALLBACKS, json.dumps(document).encode(), headers=headers)
    assert answer.status == 201, answer.body
    return answer.json


async def status_of(storage: OpenStorage, sid: str) -> tuple[str, int]:
    """Return the status of a callback, and the number of its attempts."""
    callback = await storage.store.read(lambda tx: tx.callbacks.find(sid))
    assert callback is not None
    return callback.status, callback.progress.attempt_count


async def test_storage_alone_stores_data(tmp_path: Path) -> None:
    async with a_storage(a_process(tmp_path)) as storage:
        await storage.store.transact(plant)
    async with a_storage(a_process(tmp_path)) as storage:
        account = await storage.store.read(lambda tx: tx.accounts.get(ACCOUNT_SID))
    assert account == an_account()


async def test_storage_alone_notices_when_the_database_is_available_again(tmp_path: Path) -> None:
    process, sign = a_process(tmp_path), tmp_path / "away"
    assert isinstance(process.clock, VirtualClock)
    with writing_nothing_while(sign):
        async with a_storage(process) as storage:
            watching = asyncio.create_task(storage.outage.run())
            sign.touch()
            with pytest.raises(StoreUnavailable):
                await storage.store.transact(plant)
            assert not storage.outage.is_over
            sign.unlink()
            while not storage.outage.is_over:
                process.clock.advance(PAUSE)
                await asyncio.sleep(0)
            watching.cancel()


async def test_workers_alone_send_the_callbacks_in_the_store(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver:
        async with a_storage(a_process(tmp_path)) as storage:
            await storage.store.transact(plant)
            callback = a_callback(url=receiver.url("/by-hand"))
            await storage.store.transact(lambda tx: tx.callbacks.add(callback))
        async with workers(tmp_path) as its:
            (request,) = await receiver.wait_for(1)
            assert services_of(its).are_callbacks_sent()
        async with a_storage(a_process(tmp_path)) as storage:
            assert await status_of(storage, CALLBACK_SID) == ("delivered", 1)
    assert request.line == "POST /by-hand HTTP/1.1"


async def test_an_api_alone_stores_callbacks_that_workers_send_later(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver:
        new = {"url": receiver.url("/hook"), "parameters": {"a": "b"}}
        async with an_api(tmp_path) as caller:
            sids = [(await post(caller, new))["sid"]]
            batch = await post(caller, {"callbacks": [new] * BATCH})
            sids += [record["sid"] for record in batch["callbacks"]]
        async with a_storage(a_process(tmp_path)) as storage:
            assert {await status_of(storage, sid) for sid in sids} == {("scheduled", 0)}
        assert not receiver.connections
        async with workers(tmp_path):
            await receiver.wait_for(len(sids))
        async with a_storage(a_process(tmp_path)) as storage:
            assert {await status_of(storage, sid) for sid in sids} == {("delivered", 1)}


async def test_long_pages_rest_as_the_callbacks_that_are_sent_require(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests, are_sent = list[float](), [False]

    def services(its: BackgroundWorkers) -> WorkerServicesForApi:
        assert not services_of(its).are_callbacks_sent()
        return replace(services_of(its), are_callbacks_sent=lambda: are_sent[0])

    async def rest_after(slices: CooperativeYield, _: float) -> None:
        rests.append(slices._rest())

    monkeypatch.setattr(CooperativeYield, "rest_after", rest_after)
    new = {"url": "http://127.0.0.1:9/", "parameters": {}}
    async with an_api(tmp_path, services) as caller:
        await post(caller, {"callbacks": [new] * BATCH})
        for are_sent[0] in (False, True):
            page = await caller.get(f"{CALLBACKS}?PageSize=1000")
            assert len(page.json["callbacks"]) == BATCH
    assert rests == [rest_in_pages(are_callbacks_sent=are) for are in (False, False, True, True)]


async def test_an_api_alone_stores_tasks_that_workers_carry_out_later(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver:
        async with an_api(tmp_path) as caller:
            form = {"Status": "inactive", "CallbackUrl": receiver.url("/sim")}
            assert (await caller.post(SIM, form)).status == 202
        async with workers(tmp_path):
            (request,) = await receiver.wait_for(1)
    assert b"SimStatus=inactive" in request.body


async def test_a_callback_discarded_by_an_api_alone_is_not_sent(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver:
        async with an_api(tmp_path) as caller:
            urls = (receiver.url(path) for path in ("/discarded", "/sent"))
            new = [{"url": url, "parameters": {}} for url in urls]
            discarded, _ = (await post(caller, {"callbacks": new}))["callbacks"]
            answer = await caller.post(
                f"{CALLBACKS}/{discarded['sid']}/discard", {"Reason": "wrong"}
            )
            assert answer.status == 200, answer.body
        async with workers(tmp_path):
            (request,) = await receiver.wait_for(1)
    assert request.line == "POST /sent HTTP/1.1"
    assert len(receiver.requests) == 1


async def test_an_api_alone_answers_operators(tmp_path: Path) -> None:
    async with an_api(tmp_path) as caller:
        await post(caller, {"url": "http://127.0.0.1:9/hook", "parameters": {}})
        assert (await caller.get("/readyz")).status == 200
        assert (await caller.get("/portal/v1/policy")).status == 200
        shown = (await caller.get("/metrics")).body.decode().splitlines()
    assert 'ringback_callbacks_accepted_total{source="twilio"} 1.0' in shown
    assert "ringback_callbacks_waiting 1.0" in shown


@pytest.mark.parametrize("is_first", [False, True])
async def test_workers_start_with_the_stored_policy_while_a_new_one_can_not_be_stored(
    tmp_path: Path, *, is_first: bool
) -> None:
    file, sign = tmp_path / "ringback.toml", tmp_path / "away"
    file.write_text('[[holds]]\nphase = "after"\n')
    if not is_first:
        async with workers(tmp_path):
            pass
    process = a_process(tmp_path, file)
    assert isinstance(process.clock, VirtualClock)
    flags = {**flags_of(tmp_path), "settings": str(file)}
    origin = SettingsReloader(flags, {}, ServerCommand.SERVE)
    with writing_nothing_while(sign):
        async with a_storage(process) as storage:
            its = BackgroundWorkers(process, storage, OpenTransports.open(process), origin=origin)
            sign.touch()
            if is_first:
                with pytest.raises(StoreUnavailable):
                    await its.start()
                return
            await its.start()
            assert (process.policy.number, process.policy.policy.holds) == (1, ())
            sign.unlink()
            async with asyncio.timeout(10):
                while process.policy.number == 1:
                    process.clock.advance(PAUSE)
                    await asyncio.sleep(0.01)
            assert process.policy.policy.holds == (PhaseHold("after"),)
            await its.stop()
