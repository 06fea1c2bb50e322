"""A shell for the tests of `ringback migrate`."""

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from ringback.cli.main import main
from ringback.data_folder import DataFolder
from ringback.migration.url_source import UrlEdit, UrlEntry
from ringback.migration.url_sources.own_data import OwnDataUrlSource
from ringback.ports import Store
from tests.fakes import ACCOUNT_SID, FakeClock, a_fleet, a_profile, an_account
from tests.stores.asking import keep


class Shell:
    """Runs `ringback migrate` in one folder, with a data folder in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def run(self, *words: str, answers: str | None = None) -> Result:
        return CliRunner().invoke(main, ["migrate", *words], input=answers)

    def said(self, *words: str, exit_code: int = 0, answers: str | None = None) -> str:
        ended = self.run(*words, answers=answers)
        assert ended.exit_code == exit_code, ended.output
        return ended.output

    def planned(self, *words: str) -> list[dict[str, Any]]:
        self.said("plan", *words, "--to", "kore", "--out", "move.plan")
        return [json.loads(line) for line in Path("move.plan").read_text().splitlines()]

    def statuses(self) -> dict[str, str]:
        lines = self.said("status", "move.plan", "--json").splitlines()
        return {record["url"]: record["status"] for record in map(json.loads, lines)}

    def with_store(self, work: Callable[[Store], Any]) -> Any:
        async def run() -> Any:
            store = DataFolder(self.data).open_beside()
            try:
                return await work(store)
            finally:
                await store.close()

        return asyncio.run(run())

    def urls(self) -> list[str]:
        """Return all URLs that are configured in the data folder."""

        async def read(store: Store) -> Sequence[UrlEntry]:
            return await OwnDataUrlSource(store, folder="", clock=FakeClock()).entries()

        return sorted(entry.url for entry in self.with_store(read))

    def fill(self, *urls: str, account_sid: str = ACCOUNT_SID, number: int = 0) -> None:
        """Store an account with a fleet for each of these URLs."""
        profile = a_profile(sid=f"HA{number:032x}", account_sid=account_sid)
        fleets = [
            a_fleet(
                sid=f"HF{number + at:032x}",
                account_sid=account_sid,
                unique_name=None,
                network_access_profile_sid=profile.sid,
                sms_commands_url=url,
            )
            for at, url in enumerate(urls)
        ]

        async def keep_all(store: Store) -> None:
            await store.transact(lambda tx: tx.accounts.add(an_account(sid=account_sid), []))
            await keep(store, profile, *fleets)

        self.with_store(keep_all)

    def change(self, old: str, new: str) -> None:
        """Change the URL of a place, as somebody else would."""

        async def replace(store: Store) -> None:
            own_data = OwnDataUrlSource(store, folder="", clock=FakeClock())
            (entry,) = [entry for entry in await own_data.entries() if entry.url == old]
            await own_data.replace([UrlEdit(entry.place, old, new)])

        self.with_store(replace)
