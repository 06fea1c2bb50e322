"""The fingerprint of the server's data, which anyone may read."""

from typing import Any

from tests.memory_store import MemoryStore
from tests.unit.api.caller import Caller
from tests.unit.api.world import app_on


class CountingReads(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    async def read(self, *given: Any, **more: Any) -> Any:
        self.reads += 1
        return await super().read(*given, **more)


async def test_the_fingerprint_is_shown_without_credentials_and_read_once() -> None:
    store = CountingReads()
    caller = Caller(app_on(store), credentials=None)
    for _ in range(3):
        answer = await caller.get("/fingerprint")
        assert (answer.status, answer.json) == (200, {"fingerprint": store.tables.fingerprint()})
    assert store.reads == 1
    assert (await caller.post("/fingerprint", {})).status == 405
