import pytest

from ringback.core.callback_url import CallbackUrl, Method
from ringback.core.listener import NOBODY, Hook, Listener

OLD, NEW = (CallbackUrl.parse(f"https://{name}.example") for name in ("old", "new"))
BEFORE = Listener(OLD, Method.GET)


def test_nobody_has_no_url_and_would_be_told_by_post() -> None:
    assert (NOBODY.url, NOBODY.method) == (None, Method.POST)


@pytest.mark.parametrize(
    ("hook", "after"),
    [
        pytest.param(Hook(), BEFORE, id="nothing is given"),
        pytest.param(Hook(NEW), Listener(NEW, Method.GET), id="a URL"),
        pytest.param(Hook(method=Method.POST), Listener(OLD, Method.POST), id="a method"),
        pytest.param(Hook(NEW, method=Method.POST), Listener(NEW, Method.POST), id="both"),
        pytest.param(Hook(is_removed=True), Listener(None, Method.GET), id="an empty URL"),
        pytest.param(
            Hook(is_removed=True, method=Method.POST),
            Listener(None, Method.POST),
            id="an empty URL and a method",
        ),
    ],
)
def test_a_request_changes_what_it_gives_and_leaves_the_rest(hook: Hook, after: Listener) -> None:
    assert hook.after(BEFORE) == after


@pytest.mark.parametrize(
    ("hook", "after"),
    [
        (Hook(), NOBODY),
        (Hook(is_removed=True), NOBODY),
        (Hook(NEW), Listener(NEW, Method.POST)),
        (Hook(method=Method.GET), Listener(None, Method.GET)),
    ],
)
def test_where_nobody_was_told_somebody_can_be(hook: Hook, after: Listener) -> None:
    assert hook.after(NOBODY) == after
