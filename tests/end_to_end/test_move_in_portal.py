"""The move through the portal of a running server: receivers are checked, and plans carried out."""

import json
from pathlib import Path
from typing import Any

from tests.receivers import RecordingReceiver, answer_and_close
from tests.served import Answered, Served, asked_until, in_this_process, served

FORBIDDEN = answer_and_close(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
CHECKS = "/portal/v1/receiver_checks"
BEFORE = ("--at", "2024-10-01")
"""In this phase, twilio is the default, and kore can be asked for."""


async def configured(server: Served, receiver: RecordingReceiver) -> str:
    """Configure a receiver's URL on a fleet, and return it."""
    url = f"http://127.0.0.1:{receiver.port}/sms"
    await server.post("/supersim/v1/Fleets/my_fleet", SmsCommandsUrl=url)
    return url


def by_source(answer: Answered) -> dict[str, Any]:
    return {one["source"]: one["fault"] for one in answer.body["receiver_checks"]}


async def test_a_receiver_is_checked_by_real_requests(tmp_path: Path) -> None:
    async with RecordingReceiver(answer=lambda _: FORBIDDEN) as receiver, served(tmp_path) as on:
        stranger = await on.post(CHECKS, Url=f"http://127.0.0.1:{receiver.port}/sms")
        assert (stranger.status, receiver.requests) == (400, [])
        url = await configured(on, receiver)
        answer = await on.post(CHECKS, Url=url)
        assert by_source(answer) == {"twilio": "refuses-twilio", "kore": "refuses-kore"}
        assert "Kore-Signature" in answer.body["receiver_checks"][1]["fix"]
        assert len(receiver.requests) == 2
        assert by_source(await on.get(CHECKS)) == by_source(answer)
        ended = await in_this_process("pause", "--data", str(tmp_path))
        assert ended.exit_code == 0, ended.output
        assert (await on.post(CHECKS, Url=url)).status == 409
        assert len(receiver.requests) == 2


async def test_a_check_by_a_plan_is_kept(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver, served(tmp_path, *BEFORE) as on:
        await configured(on, receiver)
        plan = str(tmp_path / "move.plan")
        words = ("plan", "--data", str(tmp_path), "--to", "kore", "--out", plan)
        assert (await in_this_process("migrate", *words)).exit_code == 0
        assert (await in_this_process("migrate", "apply", plan)).exit_code == 4
        # It accepts everything.
        assert by_source(await on.get(CHECKS)) == {"kore": "ignores-kore-signature"}


async def test_a_plan_is_drafted_carried_out_and_shown(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver, served(tmp_path, *BEFORE) as on:
        url = await configured(on, receiver)
        form = {"To": "kore", "UrlPrefix": url}
        draft = (await on.post("/portal/v1/plans/drafts", **form)).body
        assert [one["url"] for one in draft["first"]] == [url]
        body = json.dumps({"plan": draft["lines"], "action": "apply"}).encode()
        as_json = {"Content-Type": "application/json"}
        job = (await on.call("POST", "/portal/v1/plans", body=body, headers=as_json)).body
        path = f"/portal/v1/plans/{draft['id']}"
        told = await asked_until(
            lambda: on.get(path), lambda answer: answer.body["job"]["status"] == "done"
        )
        (one,) = told.body["urls"]
        assert (one["state"], one["check"]["fault"]) == ("skipped", "ignores-kore-signature")
        (listed,) = (await on.get("/portal/v1/plans")).body["plans"]
        assert (listed["id"], listed["job"]["sid"]) == (draft["id"], job["sid"])
        assert listed["to"] == "kore"
        # What the check has found counts for the policy, too.
        (in_use,) = await asked_until(
            lambda: urls_in_use(on, url), lambda found: found and found[0]["receiver"], within=30
        )
        assert in_use["receiver"]["fault"] == "ignores-kore-signature"


async def urls_in_use(server: Served, url: str) -> list[dict[str, Any]]:
    return (await server.get("/portal/v1/policy/urls", Url=url)).body["urls"]
