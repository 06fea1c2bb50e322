"""Whatever an account does with its webhook secrets, KORE's rules hold."""

from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ringback.core.accounts.webhook_secret import WebhookSecretStatus
from ringback.core.errors import InvalidParameter, NotFound
from ringback.operations.webhook_secrets import change_secret, create_secret
from tests.fakes import ACCOUNT_SID, NOW, SeededRandomness, a_context, an_account
from tests.memory_store import MemoryTransaction

ACTIVE, PENDING = WebhookSecretStatus.ACTIVE, WebhookSecretStatus.PENDING
NAMES = st.sampled_from([None, "a", "b", ""])
STATUSES = st.sampled_from([None, ACTIVE, PENDING])


class Secrets(RuleBasedStateMachine):
    """Creates secrets, and changes any secret that ever existed."""

    def __init__(self) -> None:
        super().__init__()
        self.tx = MemoryTransaction()
        self.tx.accounts.add(an_account(kore_secret=""), [])
        self.random_source = SeededRandomness()
        self.now = NOW
        self.made = list[str]()
        self.before = dict[str, WebhookSecretStatus]()
        self.gone = set[str]()

    @property
    def statuses(self) -> dict[str, WebhookSecretStatus]:
        account = self.tx.accounts.accounts[ACCOUNT_SID]
        return {secret.id: status for status, secret in account.webhook_secrets.all}

    @rule(name=NAMES)
    def create(self, name: str | None) -> None:
        self._pass_time()
        account = self.tx.accounts.accounts[ACCOUNT_SID]
        try:
            status, secret = create_secret(
                self.tx,
                account,
                name or "",
                a_context(now=self.now, random_source=self.random_source),
            )
        except InvalidParameter:
            assert not name
            assert self.statuses == self.before
        else:
            assert status is (PENDING if self.before else ACTIVE)
            self.made.append(secret.id)

    @precondition(lambda self: self.made)
    @rule(lot=st.integers(0, 99), name=NAMES, status=STATUSES)
    def change(self, lot: int, name: str | None, status: WebhookSecretStatus | None) -> None:
        self._pass_time()
        secret_id = self.made[lot % len(self.made)]
        had = self.before.get(secret_id)
        account = self.tx.accounts.accounts[ACCOUNT_SID]
        try:
            has, _ = change_secret(
                self.tx,
                account,
                secret_id,
                name=name,
                status=status,
                context=a_context(now=self.now),
            )
        except NotFound:
            assert had is None
        except InvalidParameter:
            assert name == "" or (had, status) == (ACTIVE, PENDING)
            assert self.statuses == self.before
        else:
            assert has is (status or had)

    @invariant()
    def there_are_two_at_the_most_and_what_is_gone_never_comes_back(self) -> None:
        statuses = self.statuses
        assert sorted(statuses.values()) in ([], [ACTIVE], [ACTIVE, PENDING])
        assert not self.gone & set(statuses)
        for secret_id, had in self.before.items():
            assert (had, statuses.get(secret_id)) != (ACTIVE, PENDING)
        self.gone |= set(self.before) - set(statuses)
        self.before = statuses

    @invariant()
    def once_there_is_one_there_is_always_one_that_signs(self) -> None:
        assert bool(self.made) is (ACTIVE in self.statuses.values())

    def _pass_time(self) -> None:
        self.now += timedelta(seconds=1)


TestSecrets = Secrets.TestCase
