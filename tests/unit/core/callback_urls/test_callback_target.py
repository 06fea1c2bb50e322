import pytest

from ringback.core.callback_urls.callback_target import (
    NO_TARGET,
    CallbackTarget,
    CallbackTargetUpdate,
)
from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod

OLD, NEW = (CallbackUrl.parse(f"https://{name}.example") for name in ("old", "new"))
BEFORE = CallbackTarget(OLD, HttpMethod.GET)


def test_the_empty_target_has_no_url_and_the_method_post() -> None:
    assert (NO_TARGET.url, NO_TARGET.method) == (None, HttpMethod.POST)


@pytest.mark.parametrize(
    ("update", "after"),
    [
        pytest.param(CallbackTargetUpdate(), BEFORE, id="nothing is given"),
        pytest.param(CallbackTargetUpdate(NEW), CallbackTarget(NEW, HttpMethod.GET), id="a URL"),
        pytest.param(
            CallbackTargetUpdate(method=HttpMethod.POST),
            CallbackTarget(OLD, HttpMethod.POST),
            id="a method",
        ),
        pytest.param(
            CallbackTargetUpdate(NEW, method=HttpMethod.POST),
            CallbackTarget(NEW, HttpMethod.POST),
            id="both",
        ),
        pytest.param(
            CallbackTargetUpdate(is_removed=True),
            CallbackTarget(None, HttpMethod.GET),
            id="an empty URL",
        ),
        pytest.param(
            CallbackTargetUpdate(is_removed=True, method=HttpMethod.POST),
            CallbackTarget(None, HttpMethod.POST),
            id="an empty URL and a method",
        ),
    ],
)
def test_a_request_changes_only_the_given_values(
    update: CallbackTargetUpdate, after: CallbackTarget
) -> None:
    assert update.after(BEFORE) == after


@pytest.mark.parametrize(
    ("update", "after"),
    [
        (CallbackTargetUpdate(), NO_TARGET),
        (CallbackTargetUpdate(is_removed=True), NO_TARGET),
        (CallbackTargetUpdate(NEW), CallbackTarget(NEW, HttpMethod.POST)),
        (CallbackTargetUpdate(method=HttpMethod.GET), CallbackTarget(None, HttpMethod.GET)),
    ],
)
def test_a_target_can_be_set_if_there_was_none(
    update: CallbackTargetUpdate, after: CallbackTarget
) -> None:
    assert update.after(NO_TARGET) == after
