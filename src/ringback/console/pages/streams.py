"""The event streams of both sources: where events go, which ones, what waits, how the last went.

KORE's destinations and streaming rules are changed here; Twilio's sinks and subscriptions only by
Twilio's Events API.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from starlette.responses import Response

from ringback.console.access import PATH
from ringback.console.api_caller import ApiRefusal, JsonObject
from ringback.console.formats import event_type_words
from ringback.console.pages.callbacks import page_of
from ringback.console.visit import PageHandler, PageHandlers, SentForm, Visit, local_path
from ringback.core.policy.source_policy import Source
from ringback.core.sids import SidKind
from ringback.core.streams.event_types import SCHEMA_VERSIONS, StreamEventType
from ringback.core.streams.sink import SinkType

LIST: Final = f"{PATH}/streams"
EVERY: Final = 5
"""Seconds between two refreshes."""
_ROWS: Final = 50
_TYPES: Final = [each.short for each in StreamEventType]
_VERSIONS: Final = [
    ("", "not sent"),
    *((str(one), f"version {one}") for one in sorted(SCHEMA_VERSIONS, reverse=True)),
]
"""What can be chosen for each type: no events, or those in a version of the schema."""
_PLACES: Final = {"Url": "url", "Arn": "arn", "RoleArn": "role_arn", "ExternalId": "external_id"}
"""The parameters that say where events go, and the fields with them."""


async def show(visit: Visit) -> Response:
    """Show the streams."""
    query = {
        "Source": visit.asked("source") or None,
        "Stream": visit.asked("stream") or None,
        "PageSize": str(_ROWS),
        "PageToken": visit.asked("page") or None,
    }
    answer = await visit.api.get("streams", query=query, account_sid=visit.account_sid)
    return await visit.page(
        "streams.html",
        title="Streams",
        every=EVERY,
        streams=[_row(one) for one in answer["streams"]],
        sources=[("", "any"), *((one.value, one.value) for one in Source)],
        types=_TYPES,
        versions=_VERSIONS,
        is_filtered=any(visit.asked(name) for name in ("source", "stream")),
        next_page=page_of(visit, answer["meta"]["next_page_url"]),
        previous_page=page_of(visit, answer["meta"]["previous_page_url"]),
        client=_client(visit),
        command=_command(visit),
    )


async def create_destination(visit: Visit) -> Response:
    """Create a destination of KORE's events."""
    form = await visit.form()
    given = {"Type": form.get("kind", ""), **_destination_in(form)}
    said = "The destination is there, and gets nothing yet: add a rule that says which events."
    return await _post(visit, ("destinations",), given, lambda _: (said, ""))


async def change_destination(visit: Visit) -> Response:
    """Rename a destination, or have it send events elsewhere."""
    given = _destination_in(await visit.form())
    said = "The destination is changed. Batches that were made before still go to the old place."
    if not any(given[name] for name in _PLACES):
        said = "The destination is renamed."
    return await _post(visit, ("destinations", _sid(visit)), given, lambda _: (said, ""))


async def test_destination(visit: Visit) -> Response:
    """Send KORE's test event to a destination."""
    return await _post(
        visit,
        ("destinations", _sid(visit), "test"),
        {},
        lambda sent: (f"A test event goes to {sent['url']}.", f"{PATH}/callbacks/{sent['sid']}"),
    )


async def create_rule(visit: Visit) -> Response:
    """Create a streaming rule."""
    form = await visit.form()
    given = {"Name": form.get("name", ""), "Destination": form.get("sink", ""), **_types_in(form)}
    said = "From now on, the events of the rule are sent."
    return await _post(visit, ("rules",), given, lambda _: (said, ""))


async def change_rule(visit: Visit) -> Response:
    """Rename a streaming rule, or have it send events of other types."""
    form = await visit.form()
    types = _types_in(form)
    if not types["EventType"]:
        back = local_path(form.get("back", LIST))
        words = "Choose at least one type of events; a rule that should send nothing is disabled."
        return visit.back(back, words, is_bad=True)
    given = {"Name": form.get("name", ""), **types}
    said = "The rule is changed. Events that wait for it are still sent."
    return await _post(visit, ("rules", _sid(visit)), given, lambda _: (said, ""))


def _switches(enabled: str, said: str) -> PageHandler:
    async def switch(visit: Visit) -> Response:
        given = {"Enabled": enabled}
        return await _post(visit, ("rules", _sid(visit)), given, lambda _: (said, ""))

    return switch


def _deletes(what: str, said: str) -> PageHandler:
    async def delete(visit: Visit) -> Response:
        form = await visit.form()
        back, account = local_path(form.get("back", LIST)), form.get("account") or None
        try:
            await visit.api.delete("streams", what, _sid(visit), account_sid=account)
        except ApiRefusal as refusal:
            return visit.refused(refusal, back)
        return visit.back(back, said)

    return delete


PAGES: Final[PageHandlers] = {
    "/streams": {"GET": show},
    "/streams/destinations": {"POST": create_destination},
    "/streams/destinations/{sid}": {"POST": change_destination},
    "/streams/destinations/{sid}/test": {"POST": test_destination},
    "/streams/destinations/{sid}/delete": {
        "POST": _deletes("destinations", "The destination is deleted.")
    },
    "/streams/rules": {"POST": create_rule},
    "/streams/rules/{sid}": {"POST": change_rule},
    "/streams/rules/{sid}/enable": {
        "POST": _switches("yes", "The rule is enabled: events from now on are sent.")
    },
    "/streams/rules/{sid}/disable": {
        "POST": _switches("no", "The rule is disabled. Events that wait for it are still sent.")
    },
    "/streams/rules/{sid}/delete": {
        "POST": _deletes("rules", "The rule is deleted, with the events that waited for it.")
    },
}


def _sid(visit: Visit) -> str:
    return visit.request.path_params["sid"]


async def _post(
    visit: Visit,
    path: Sequence[str],
    given: Mapping[str, Any],
    words: Callable[[JsonObject], tuple[str, str]],
) -> Response:
    """Ask the portal for a change, and lead back; `words` say what was done, and link to it."""
    form = await visit.form()
    back, account = local_path(form.get("back", LIST)), form.get("account") or None
    try:
        answer = await visit.api.post("streams", *path, form=given, account_sid=account)
    except ApiRefusal as refusal:
        return visit.refused(refusal, back)
    said, link = words(answer)
    return visit.back(back, said, link=link, link_text="See what comes of it" if link else "")


def _destination_in(form: SentForm) -> dict[str, str | None]:
    """Return the parameters of a destination; what was left empty is None, and so is not set."""
    places = {name: form.get(field, "").strip() or None for name, field in _PLACES.items()}
    return {"Name": form.get("name", ""), **places}


def _types_in(form: SentForm) -> dict[str, list[str]]:
    """Return the types that were chosen, each with the version of its schema."""
    chosen = ((name, form.get(f"type.{name}", "")) for name in _TYPES)
    return {"EventType": [f"{name}:{version}" for name, version in chosen if version]}


def _row(stream: JsonObject) -> dict[str, Any]:
    subscriptions = [
        {
            **one,
            "types": event_type_words(one["event_types"]),
            "chosen": {
                each["type"].partition(".connection.")[2]: str(each["schema_version"])
                for each in one["event_types"]
            },
        }
        for one in stream["subscriptions"]
    ]
    is_ours = stream["source"] == Source.KORE
    return {
        **stream,
        "subscriptions": subscriptions,
        "is_ours": is_ours,
        "is_webhook": stream["type"] == SinkType.WEBHOOK,
        "words": ("destination", "rule") if is_ours else ("sink", "subscription"),
    }


def _client(visit: Visit) -> str:
    """Return a program that makes a stream at twilio, with Twilio's official client."""
    url, account = visit.request.url, visit.account_sid or f"{SidKind.ACCOUNT}…"
    return f"""\
client = twilio.rest.Client("{account}", "the Auth Token")
client.events.base_url = "{url.scheme}://{url.netloc}/events"
sink = client.events.v1.sinks.create(
    description="ours",
    sink_type="webhook",
    sink_configuration={{"destination": "https://example.com/events", "method": "POST"}},
)
client.events.v1.subscriptions.create(
    description="ends of data sessions",
    sink_sid=sink.sid,
    types=[{{"type": "{StreamEventType.SESSION_ENDED}"}}],
)
client.events.v1.sinks(sink.sid).sink_test.create()"""


def _command(visit: Visit) -> str:
    """Return the command that gives the same list."""
    source = visit.asked("source")
    return "ringback streams list" + (f" --source {source}" if source else "")
