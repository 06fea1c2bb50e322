"""URLs in a file are moved by the command, while the server that sends to them watches them."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from click.testing import Result

from ringback.cli.migrate.step_watch import PortalDeliveries, ServerStepWatcher
from ringback.migration.canary_step import CanarySettings
from ringback.migration.plan import MigrationPlan
from ringback.portal_client import PortalClient
from tests.end_to_end.test_migrate_in_server import BEFORE, refusing_kore
from tests.forked import Forked
from tests.receivers import RecordingReceiver
from tests.served import Served, asked_until, in_this_process, is_settled, served

CANARY = ("--canary", "50", "--soak", "2s", "--least", "1", "--wait", "10s")


class App:
    """An application with a callback URL in its `.env`, which it gives with each request."""

    def __init__(self, folder: Path, server: Served, url: str) -> None:
        self.server = server
        self.env = folder / "app.env"
        self.env.write_text(f"CALLBACK_URL={url}\n")
        self.plan = str(folder / "app.plan")
        self.variables = {
            "RINGBACK_SERVER": server.dev["base_url"],
            "RINGBACK_ACCOUNT_SID": server.dev["account_sid"],
            "RINGBACK_AUTH_TOKEN": server.dev["auth_token"],
        }

    @property
    def url(self) -> str:
        return self.env.read_text().partition("=")[2].strip().strip('"')

    @property
    def is_moved(self) -> bool:
        return self.url.endswith("#cbs=kore")

    async def run(self, *words: str) -> Result:
        return await in_this_process(*words, **self.variables)

    async def make_plan(self) -> None:
        words = ("migrate", "plan", str(self.env), "--to", "kore", "--out", self.plan)
        assert (await self.run(*words)).exit_code == 0

    def apply_words(self) -> tuple[str, ...]:
        return ("migrate", "apply", self.plan, "--write", "--no-probe", *CANARY)

    async def apply_and_die(self, words: tuple[str, ...]) -> None:
        """Apply the plan in a process that is killed as soon as the server watches a step."""
        process = Forked(("ringback", *words), variables=self.variables)
        await asked_until(self.watching, lambda job: job.get("status") == "running")
        process.kill()
        await process.wait()
        process.close()

    async def send(self) -> None:
        """Make a request whose callback goes to the URL of the file."""
        status = "inactive" if await self._is_active() else "active"
        await self.server.post(self.server.sim_path, CallbackUrl=self.url, Status=status)
        await asked_until(self.server.callbacks, lambda sent: sent and all(map(is_settled, sent)))

    async def watching(self) -> dict[str, Any]:
        """Return the newest job that watches."""
        jobs = (await self.server.get("/portal/v1/jobs")).body["jobs"]
        return next((one for one in jobs if one["parameters"]["action"] == "watch"), {})

    async def _is_active(self) -> bool:
        sim = await asked_until(
            lambda: self.server.get(self.server.sim_path),
            lambda sim: sim.body["status"] in ("active", "inactive"),
        )
        return sim.body["status"] == "active"


async def test_a_url_of_a_file_that_delivers_worse_goes_back(tmp_path: Path) -> None:
    async with (
        RecordingReceiver(answer=refusing_kore) as receiver,
        served(tmp_path / "data", *BEFORE) as server,
    ):
        app = App(tmp_path, server, receiver.url("/sims"))
        old = app.env.read_bytes()
        await app.make_plan()
        apply = asyncio.create_task(app.run(*app.apply_words()))
        job = await asked_until(app.watching, lambda job: job.get("status") == "running")
        assert app.is_moved
        await app.send()
        ended = await apply
        assert ended.exit_code == 4
        assert "stays behind: 1 of 1 fail (100.0 %)" in ended.output
        assert f"`ringback jobs follow {job['sid']}`" in ended.stderr
        assert app.env.read_bytes() == old
        assert (await app.watching())["status"] in ("cancelled", "failed")


async def test_the_server_watches_on_when_the_command_is_killed_and_says_how_to_go_back(
    tmp_path: Path,
) -> None:
    async with (
        RecordingReceiver(answer=refusing_kore) as receiver,
        served(tmp_path / "data", *BEFORE) as server,
    ):
        app = App(tmp_path, server, receiver.url("/sims"))
        old = app.env.read_bytes()
        await app.make_plan()
        await app.apply_and_die(app.apply_words())
        await app.send()
        job = await asked_until(app.watching, lambda job: job["status"] == "failed")
        back = f"ringback migrate revert {app.plan} --write"
        assert job["status_reason"] == (
            f"50 %: 1 of 1 URLs deliver worse than before; to go back: {back}"
        )
        assert app.is_moved
        ended = await app.run(*back.split(" ")[1:], "--yes", "--json")
        assert (ended.exit_code, json.loads(ended.stdout)["counts"]) == (0, {"gone back": 1})
        assert app.env.read_bytes() == old


async def test_the_job_ends_when_the_command_has_judged_the_step(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver, served(tmp_path / "data", *BEFORE) as server:
        app = App(tmp_path, server, receiver.url("/sims"))
        await app.make_plan()
        await app.apply_and_die(tuple("1m" if word == "2s" else word for word in app.apply_words()))
        await server.post(f"/portal/v1/jobs/{(await app.watching())['sid']}/cancel")
        base_url, account_sid, auth_token = app.variables.values()
        portal, plan = PortalClient(base_url, account_sid, auth_token), Path(app.plan)
        canary = CanarySettings((50,), timedelta(minutes=1), PortalDeliveries(portal))
        watcher = ServerStepWatcher(MigrationPlan.read(plan), plan, canary, portal)
        await watcher.begin()
        assert (await app.watching())["status"] == "running"
        await watcher.end()
        assert (await app.watching())["status"] == "cancelled"


async def test_the_job_of_a_step_without_enough_callbacks_says_so(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver, served(tmp_path / "data", *BEFORE) as server:
        app = App(tmp_path, server, receiver.url("/sims"))
        await app.make_plan()
        words = tuple(word if word != "10s" else "1s" for word in app.apply_words())
        await app.apply_and_die(words)
        job = await asked_until(app.watching, lambda job: job["status"] == "failed")
        assert job["status_reason"] == (
            "50 %: too few callbacks came to say that its URLs deliver well"
        )
        # The next `apply` goes on with the step, and a job of its own watches it.
        await app.apply_and_die(words)
        assert (await app.watching())["sid"] != job["sid"]
