"""`ringback streams` with a running server: destinations and rules outlive a restart."""

import hashlib
import json
from pathlib import Path

from ringback.dev_environment.dev_file import DevServerDetails
from tests.end_to_end.test_sending import ringback
from tests.receivers import RecordingReceiver
from tests.served import served
from tests.streams import ENDED


async def test_a_destination_with_a_rule_outlives_a_restart_and_is_sent_a_signed_test_event(
    tmp_path: Path,
) -> None:
    async with RecordingReceiver() as receiver:
        url = receiver.url("/events?x=1")
        async with served(tmp_path) as dev:
            words = ("destinations", "add", "ours", "--url", url)
            sid = (await ringback("streams", *words, data=tmp_path)).split(" ")[0]
            words = ("rules", "add", "ends", "--destination", sid, "--type", ENDED.short)
            assert ENDED.short in await ringback("streams", *words, data=tmp_path)
            assert await dev.stop() == 0
        async with served(tmp_path):
            listed = await ringback("streams", "list", data=tmp_path)
            assert f"{sid}  kore    webhook  ours: {url}\n" in listed
            assert ": 0 waiting, no batch\n    data-session.ended\n" in listed
            shown = await ringback("streams", "destinations", "test", sid, data=tmp_path)
            assert ": delivered: the receiver answered 200" in shown
            secret = DevServerDetails.read(tmp_path).kore_secret
    (request,) = receiver.requests
    (event,) = json.loads(request.body)
    assert event["type"] == "com.kore.eventstreams.test.event"
    signed = f"{secret}POST{receiver.url('/events')}".encode() + request.body
    headers = dict(line.split(": ", 1) for line in request.headers)
    assert headers["Kore-Signature"] == hashlib.sha256(signed).hexdigest()
    assert headers["Content-Type"] == "application/json"
