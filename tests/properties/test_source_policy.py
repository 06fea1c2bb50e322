from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from ringback.core.policy.policy_version import PolicyPart, read_policy_text, write_policy
from ringback.core.policy.source_policy import BOTH, NOTICE, Phase, PhaseHold, Policy, Source
from ringback.settings.file import SettingsFile
from ringback.settings.load import policy_in
from ringback.settings.policy_editor import as_text
from tests.properties.strategies import any_text, sources, urls

instants = st.datetimes(
    min_value=datetime(2000, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=datetime(2100, 1, 1),  # noqa: DTZ001 - likewise
    timezones=st.just(UTC),
)
asked = st.none() | sources
account_sids = st.sampled_from(["AC1", "AC2", "AC3"])


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Draw a policy of one to five phases; in each, the URL may also choose the default source."""
    dates = sorted(draw(st.sets(instants, max_size=4)))
    phases = []
    for number, since in enumerate([None, *dates]):
        default = draw(sources)
        may_ask = draw(st.sampled_from([BOTH, frozenset({default})]))
        phases.append(Phase(f"phase {number}", since, default, may_ask))
    held = st.builds(
        PhaseHold,
        st.sampled_from([phase.name for phase in phases]),
        st.none() | account_sids,
        st.none() | st.sampled_from(["http://a", "http", "https://b.example/"]),
        st.none() | instants,
    )
    return Policy(tuple(phases), tuple(draw(st.lists(held, max_size=3))))


@given(policies(), asked, instants, account_sids, st.one_of(urls(), any_text))
def test_every_callback_gets_a_source_that_its_phase_allows(
    policy: Policy, asked: Source | None, at: datetime, account_sid: str, url: str
) -> None:
    choice = policy.choose(asked, at=at, account_sid=account_sid, url=url)
    _, phase = policy.phase_of(at=at, account_sid=account_sid, url=url)
    assert choice.source in phase.may_ask | {phase.default}
    assert choice.asked is asked
    assert choice.reason


@given(policies(), asked, instants, account_sids, urls())
def test_a_chosen_source_is_used_if_allowed_or_else_the_default(
    policy: Policy, asked: Source | None, at: datetime, account_sid: str, url: str
) -> None:
    choice = policy.choose(asked, at=at, account_sid=account_sid, url=url)
    _, phase = policy.phase_of(at=at, account_sid=account_sid, url=url)
    assert choice.source is (asked if asked in phase.may_ask else phase.default)


@given(policies(), instants)
def test_the_phase_of_an_instant_is_the_last_to_have_begun(policy: Policy, at: datetime) -> None:
    phase = policy.phase_at(at)
    following = policy.phases[policy.phases.index(phase) + 1 :]
    assert phase.since is None or phase.since <= at
    assert all(later.since is not None and later.since > at for later in following)


@given(policies(), asked, instants, account_sids, urls())
def test_without_holds_only_the_date_and_the_urls_choice_count(
    policy: Policy, asked: Source | None, at: datetime, account_sid: str, url: str
) -> None:
    unheld = replace(policy, holds=())
    assert unheld.choose(asked, at=at, account_sid=account_sid, url=url) == unheld.choose(
        asked, at=at, account_sid="AC9", url="http://elsewhere.example/"
    )


@given(instants, instants)
def test_the_notice_never_goes_back_to_twilio(one: datetime, other: datetime) -> None:
    earlier, later = sorted([one, other])
    before, after = (
        NOTICE.choose(Source.TWILIO, at=at, account_sid="AC1", url="http://a.example/").source
        for at in (earlier, later)
    )
    assert before is Source.TWILIO or after is Source.KORE


@given(policies())
def test_a_policy_is_read_back_from_its_text(policy: Policy) -> None:
    assert read_policy_text(write_policy(policy)) == policy


@given(policies(), policies())
def test_two_policies_have_the_same_hash_if_they_are_equal(one: Policy, other: Policy) -> None:
    hashes = {PolicyPart(policy, "").hash for policy in (one, other)}
    assert (len(hashes) == 1) == (one == other)


@given(policies())
def test_a_policy_as_the_text_of_a_settings_file_is_read_back(policy: Policy) -> None:
    assert policy_in(SettingsFile.of("ringback.toml", as_text(policy))) == policy
