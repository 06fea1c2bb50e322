"""What was not delivered, in groups by URL, source and answer; and replays of many, as jobs.

A preview is a page of its own, with everything in its URL. Only its button creates a job, which
goes on in the server when the page is closed.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import Response

from ringback.console.access import PATH
from ringback.console.api_caller import ApiRefusal, JsonObject
from ringback.console.pages.callbacks import SPANS, period_of
from ringback.console.visit import PageHandlers, Visit, local_path
from ringback.core.calendar import exact
from ringback.core.policy.source_policy import Source

EVERY: Final = 5
_EVERY_OF_JOB: Final = 2
_HERE: Final = f"{PATH}/undelivered"
_BEGINNING: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""Before every callback."""
_STATUSES: Final = (
    ("", "failed"),
    ("undelivered", "failed or discarded"),
    ("discarded", "discarded"),
)
_FILTERS: Final = ("text", "status", "source", "destination", "since", "from", "to", "account")
_JOBS: Final = 5
_MANY: Final = 100
"""The most groups that a job takes; for more, all that match are replayed."""


async def show(visit: Visit) -> Response:
    """Show the groups, and the newest jobs."""
    query = _filters(visit)
    found = await visit.api.get("undelivered", "groups", query=query, account_sid=visit.account_sid)
    jobs = await visit.api.get(
        "jobs", query={"PageSize": str(_JOBS)}, account_sid=visit.account_sid
    )
    return await visit.page(
        "undelivered.html",
        title="Undelivered",
        every=EVERY,
        found=found,
        groups=[_with_answer(group) for group in found["groups"]],
        with_account=len({group["account_sid"] for group in found["groups"]}) > 1,
        jobs=[job for job in jobs["jobs"] if job["kind"] == "replay"],
        kept=[(name, visit.asked(name)) for name in _FILTERS if visit.asked(name)],
        is_filtered=any(visit.asked(name) for name in _FILTERS if name != "account"),
        choices=_CHOICES,
        command="ringback callbacks undelivered --groups",
    )


async def preview(visit: Visit) -> Response:
    """Show what a replay would do, in numbers; nothing is sent yet."""
    chosen, is_all = visit.asked_all("group"), bool(visit.asked("all"))
    if not chosen and not is_all:
        return visit.back(visit_list(visit), "Tick a group first, or all that match.", is_bad=True)
    if len(chosen) > _MANY and not is_all:
        return visit.back(
            visit_list(visit),
            f"{len(chosen)} groups are too many to choose; filter, and take all that match.",
            is_bad=True,
        )
    found = await visit.api.get(
        "undelivered", "groups", query=_filters(visit), account_sid=visit.account_sid
    )
    groups = [one for one in found["groups"] if is_all or one["key"] in chosen]
    account_sid = visit.account_sid or _only({one["account_sid"] for one in groups})
    if account_sid is None:
        return visit.back(
            visit_list(visit),
            "These groups belong to several accounts, or to none any more: choose those of one.",
            is_bad=True,
        )
    parameters = _job(visit, [] if is_all else chosen, until=found["until"])
    try:
        counted_now = await visit.api.get(
            "jobs", "preview", query=parameters, account_sid=account_sid
        )
    except ApiRefusal as refusal:
        return visit.refused(refusal, visit_list(visit))
    return await visit.page(
        "replay_preview.html",
        title="Replay",
        preview=counted_now,
        account_sid=account_sid,
        as_other=bool(visit.asked("as_other")),
        parameters=[
            (name, one)
            for name, value in parameters.items()
            if value is not None
            for one in ([value] if isinstance(value, str) else value)
        ],
        back=visit_list(visit),
        command=_command(visit, parameters),
    )


async def replay(visit: Visit) -> Response:
    """Create the job that a preview has shown."""
    form = await visit.form()
    account_sid = form.get("account_sid", "")
    names = {name for name, value in form.multi_items() if name[:1].isupper() and value}
    given = {name: form.getlist(name) for name in names}
    try:
        job = await visit.api.post("jobs", form=given, account_sid=account_sid)
    except ApiRefusal as refusal:
        return visit.refused(refusal, local_path(form.get("back", "")))
    return visit.back(f"{_HERE}/jobs/{job['sid']}")


async def show_job(visit: Visit) -> Response:
    """Show how far a replay is."""
    job = await visit.api.get("jobs", visit.request.path_params["sid"])
    replayed = job["counts"].get("replayed", 0)
    return await visit.page(
        "replay_job.html",
        title="Replay",
        every=_EVERY_OF_JOB if job["status"] in ("running", "paused") else 60,
        job=job,
        replayed=replayed,
        skipped={name: count for name, count in job["counts"].items() if name != "replayed"},
        left=max(job["estimate"] - replayed, 0),
        is_under_way=job["status"] in ("running", "paused"),
    )


async def move_job(visit: Visit) -> Response:
    """Pause, resume or cancel a replay."""
    sid, move = visit.request.path_params["sid"], visit.request.path_params["move"]
    here = f"{_HERE}/jobs/{sid}"
    if move not in _MOVES:
        raise ApiRefusal(404, None, f"a job can't be moved by {move!r}")
    try:
        await visit.api.post("jobs", sid, move)
    except ApiRefusal as refusal:
        return visit.refused(refusal, here)
    return visit.back(here, _MOVES[move])


_MOVES: Final = {
    "pause": "It is paused: nothing more is sent again until it is resumed.",
    "resume": "It goes on.",
    "cancel": "It is cancelled. What was sent again stays sent; the rest is as it was.",
}
_CHOICES: Final[Mapping[str, Sequence[tuple[str, str]]]] = {
    "statuses": _STATUSES,
    "sources": [("", "any"), *((one.value, one.value) for one in Source)],
    "spans": [(name, words) for name, (words, _) in SPANS.items()],
}
PAGES: Final[PageHandlers] = {
    "/undelivered": {"GET": show},
    "/undelivered/preview": {"GET": preview},
    "/undelivered/replay": {"POST": replay},
    "/undelivered/jobs/{sid}": {"GET": show_job},
    "/undelivered/jobs/{sid}/{move}": {"POST": move_job},
}


def visit_list(visit: Visit) -> str:
    """Return the URL of the list with the filters that this request has."""
    query = urlencode([(name, visit.asked(name)) for name in _FILTERS if visit.asked(name)])
    return f"{_HERE}?{query}" if query else _HERE


def _filters(visit: Visit) -> dict[str, str | None]:
    since, until = period_of(visit)
    return {
        "Status": visit.asked("status") or None,
        "Source": visit.asked("source") or None,
        "Destination": visit.asked("destination") or None,
        "Text": visit.asked("text") or None,
        "Since": since and exact(since),
        "Until": until and exact(until),
    }


def _job(
    visit: Visit, groups: Sequence[str], *, until: str
) -> dict[str, str | Sequence[str] | None]:
    """Return the parameters of the job that replays the groups, or all that match."""
    given = _filters(visit)
    return {
        **given,
        "Kind": "replay",
        "Status": given["Status"] or "failed",
        "Since": given["Since"] or exact(_BEGINNING),
        "Until": given["Until"] or until,
        "Groups": groups or None,
        "AsOtherSource": "yes" if visit.asked("as_other") else None,
    }


def _only(values: Iterable[str]) -> str | None:
    """Return the only value; None if there are several, or none."""
    found = list(values)
    return found[0] if len(found) == 1 else None


def _with_answer(group: JsonObject) -> dict[str, Any]:
    """Return a group with what `answer_words` needs."""
    return {**group, "result": "refused" if group["status_code"] else "unreachable"}


def _command(visit: Visit, parameters: Mapping[str, Any]) -> str:
    """Return the command that does the same as this replay."""
    parts = ["ringback callbacks replay", f"--since {parameters['Since']}"]
    flags = {"status": "Status", "source": "Source", "destination": "Destination"}
    parts += [f"--{flag} {parameters[name]}" for flag, name in flags.items() if parameters[name]]
    if visit.asked("as_other"):
        parts.append("--as-other-source")
    return " ".join(parts)
