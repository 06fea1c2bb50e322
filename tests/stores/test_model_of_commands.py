"""Commands and their counts: the SQLite store compared with its model in memory."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from ringback.core.sims.message import Direction, MessageStatus
from ringback.core.sims.mobile_networks import NETWORKS
from ringback.core.wireless.usage import WirelessUsageQuery
from ringback.ports import PageWindow, Transaction
from tests.fakes import NOW
from tests.stores.both_stores import ACCOUNTS, AHEAD, NUMBERS, BothStores, Part, or_refused, windows
from tests.stores.records import OURS, SECOND, WIRELESS_SIMS, command, command_use

NETWORK_SIDS = st.sampled_from([network.sid for network in NETWORKS[:2]])
SPANS = st.sampled_from([None, SECOND, 3 * SECOND])


class CommandsInBothStores(BothStores):
    """Commands: added, saved, removed, listed by existing or removed ones, and counted."""

    def __init__(self) -> None:
        self._added = set[str]()
        super().__init__()

    @rule(number=NUMBERS, account_sid=ACCOUNTS, direction=st.sampled_from(Direction))
    def add_command(self, number: int, account_sid: str, direction: Direction) -> None:
        added = replace(command(number, account_sid), direction=direction)
        if added.sid not in self._added:
            self._added.add(added.sid)
            self.add(
                Part(
                    lambda tx: tx.wireless.commands.add(added),
                    undone=lambda: self._added.discard(added.sid),
                )
            )

    @rule(number=NUMBERS, status=st.sampled_from(MessageStatus))
    def save_command(self, number: int, status: MessageStatus) -> None:
        now = self.now

        def work(tx: Transaction) -> None:
            found = tx.wireless.commands.get(command(number).sid)
            if found is not None:
                tx.wireless.commands.save(replace(found, status=status, date_updated=now))

        self.add(Part(work))

    @rule(number=NUMBERS)
    def remove_command(self, number: int) -> None:
        def work(tx: Transaction) -> None:
            if tx.wireless.commands.get(command(number).sid) is not None:
                tx.wireless.commands.remove(command(number).sid)

        self.add(Part(work))

    @rule(
        account_sid=ACCOUNTS,
        number=NUMBERS,
        direction=st.none() | st.sampled_from(Direction),
        window=windows(command),
    )
    def look(
        self, account_sid: str, number: int, direction: Direction | None, window: PageWindow
    ) -> None:
        which = {"direction": direction}
        self.add(
            Part(
                lambda tx: (
                    tx.wireless.commands.get(command(number).sid),
                    tx.wireless.commands.first({"account_sid": account_sid, **which}),
                    or_refused(lambda: tx.wireless.commands.page(account_sid, which, window)),
                )
            )
        )

    @rule(account_sid=ACCOUNTS, network_sid=NETWORK_SIDS, direction=st.sampled_from(Direction))
    def use_command(self, account_sid: str, network_sid: str, direction: Direction) -> None:
        use = command_use(account_sid, at=self.now, network_sid=network_sid, direction=direction)
        self.add(Part(lambda tx: tx.wireless.command_uses.add(use)))

    @rule(account_sid=ACCOUNTS, is_of_sim=st.booleans(), ago=AHEAD, span=SPANS)
    def count(
        self, account_sid: str, is_of_sim: bool, ago: timedelta, span: timedelta | None
    ) -> None:
        sim_sid = WIRELESS_SIMS[OURS].sid if is_of_sim else None
        question = WirelessUsageQuery(NOW, self.now - ago + SECOND, span)
        if question.end > question.start:
            self.add(
                Part(lambda tx: tx.wireless.command_uses.count(account_sid, sim_sid, question))
            )


# This takes some seconds, and much longer on a busy machine.
@pytest.mark.timeout(300)
class TestCommandsInBothStores(CommandsInBothStores.TestCase):
    settings = settings(max_examples=40, stateful_step_count=60, deadline=None)
