"""docs/probe.md: its tables say what the probe does."""

from pathlib import Path

import pytest

from ringback.probe.payloads import PROBE_ACCOUNT_SID, PROBE_SIM_SID
from ringback.probe.probe_cases import CASES, cases_of
from ringback.probe.receiver_faults import ReceiverFaultKind
from ringback.probe.stream_cases import STREAM_CASES
from tests.corpus.receivers.other_sources import SOURCES, STANDARD

PAGE = (Path(__file__).parents[2] / "docs" / "probe.md").read_text("utf-8")


@pytest.mark.parametrize("fault", list(ReceiverFaultKind), ids=lambda fault: fault.label)
def test_each_fault_is_in_the_table_in_its_own_words(fault: ReceiverFaultKind) -> None:
    assert PAGE.count(f"| `{fault.label}` | {fault.what} | {fault.mend} |") == 1


def test_the_faults_are_in_the_order_in_which_they_are_told() -> None:
    places = [PAGE.index(f"| `{fault.label}` |") for fault in ReceiverFaultKind]
    assert places == sorted(places)


def test_the_page_names_what_the_callbacks_tell_of() -> None:
    assert f"`{PROBE_ACCOUNT_SID}`" in PAGE
    assert f"`{PROBE_SIM_SID}`" in PAGE
    assert f"all {len(CASES)} cases" in PAGE


def test_each_fault_is_one_that_a_case_or_an_answer_shows() -> None:
    # What several cases, or any answer, can show is decided in code; all else is in the table.
    cases = (*CASES, *cases_of([STANDARD], SOURCES), *STREAM_CASES)
    by_cases = {case.fault for case in cases}
    rest = {fault.label for fault in ReceiverFaultKind if fault not in by_cases}
    assert rest == {
        "answers-200-to-everything",
        "ignores-twilio-signature",
        "ignores-kore-signature",
        "ignores-signature",
        "refuses-twilio",
        "refuses-kore",
        "refuses-source",
        "refuses-post",
        "refuses-get",
        "does-not-answer",
        "crashes-on-good-callback",
        "crashes-on-bad-signature",
        "redirects",
        "breaks-off",
        "loses-callback",
        "refuses-repeat",
    }
