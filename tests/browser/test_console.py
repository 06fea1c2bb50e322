"""The console in a real browser: every page readable by everybody, and the stories of its users."""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode
from urllib.request import Request as HttpRequest
from urllib.request import urlopen

import pytest

from docs_build.chromium import a_browser
from ringback.core.policy.source_policy import Source
from ringback.core.streams.event_types import StreamEventType
from ringback.receiver import ReceivedRequest as Request
from tests.browser.reader import PageReader
from tests.browser.test_site import NARROW, SETTLED, needs_a_browser, unreadable
from tests.consoles import console_world
from tests.receivers import Answering, ReceivingServer
from tests.streams import ARN

WIDE: Final = 1280
ROLE: Final = "arn:aws:iam::111111111111:role/writer"


@dataclass
class DevServer:
    """A running `ringback dev`."""

    dev: Mapping[str, str]
    process: "subprocess.Popen[str]"
    names: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def base(self) -> str:
        return self.dev["base_url"]

    def call(
        self, path: str, form: Mapping[str, str] | bytes | None = None, *, is_operator: bool = False
    ) -> Any:
        """Ask an API as the account, or as the operator; a form makes it a POST."""
        names = ("operator_key_sid", "operator_key_secret")
        user, password = names if is_operator else ("account_sid", "auth_token")
        pair = f"{self.dev[user]}:{self.dev[password]}".encode()
        headers = {"Authorization": f"Basic {b64encode(pair).decode()}"}
        if isinstance(form, bytes):
            headers["Content-Type"] = "application/json"
            body: bytes | None = form
        else:
            body = None if form is None else urlencode(form).encode()
        with urlopen(HttpRequest(f"{self.base}{path}", body, headers), timeout=20) as answer:  # noqa: S310 (our own server)
            return json.load(answer)

    def send(self, url: str, **parameters: str) -> str:
        given = parameters or {"SimSid": self.dev["sim_sid"], "SimStatus": "active"}
        body = json.dumps({"url": url, "parameters": given}).encode()
        return self.call("/portal/v1/callbacks", body)["sid"]

    def ended(self, sid: str) -> str:
        while True:
            status = self.call(f"/portal/v1/callbacks/{sid}")["status"]
            if status != "scheduled":
                return status


class ListeningServer(ReceivingServer):
    """A receiver that remembers what it got."""

    judge: Callable[[Request], bool]
    request_queue_size = 1024  # hundreds of callbacks come at once

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.requests: list[Request] = []
        self.accepts = self._judged

    def _judged(self, request: Request) -> bool:
        self.requests.append(request)
        return self.judge(request)


@contextmanager
def dev_server(data: Path, *flags: str) -> Generator[DevServer]:
    command = (
        sys.executable,
        "-m",
        "ringback",
        "dev",
        "--json",
        "--port",
        "0",
        "--gateway",
        "none",
    )
    process = subprocess.Popen(
        (*command, "--data", str(data), *flags), stdout=subprocess.PIPE, text=True, env=os.environ
    )
    try:
        assert process.stdout is not None
        yield DevServer(json.loads(process.stdout.readline()), process)
    finally:
        process.terminate()
        process.communicate(timeout=20)


@contextmanager
def receiving(
    accepts: Callable[[Request], bool] = lambda _: True, *, refuses_with: int = 403
) -> Generator[ListeningServer]:
    server = ListeningServer(("127.0.0.1", 0), Answering)
    server.judge, server.refuses_with = accepts, refuses_with
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def reading(server: DevServer, profile: Path) -> Generator[PageReader]:
    """A person who has opened the link of the banner."""
    with a_browser(profile) as browser:
        browser.resize(WIDE)
        reader = PageReader(browser, server.base)
        reader.open(server.dev["console_url"])
        yield reader


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Generator[DevServer]:
    """A server whose pages all have something to show."""
    data, at = tmp_path_factory.mktemp("filled"), "2024-10-10"
    with ExitStack() as stack:
        good = stack.enter_context(receiving())
        streamed = asyncio.run(streams_in(data, good.url, at=at))
        server = stack.enter_context(dev_server(data, "--at", at, "--schedule", "5s"))
        with receiving(lambda _: False) as bad:
            sids = [
                server.send(f"{good.url}hook?site=1"),
                server.send(f"{good.url}hook?site=1#cbs=kore"),
                server.send(f"{bad.url}{'a-very-long-path/' * 12}#cbs=kore"),
                server.send(f"{bad.url}other"),
                server.send("http://127.0.0.1:1/nobody"),
            ]
            for sid in sids[:4]:
                server.ended(sid)
        server.ended(sids[4])
        destination = good.url.rstrip("/")
        link = server.call("/portal/v1/links", {"Callback": sids[2], "Note": "have a look"})
        other = server.call("/portal/v1/links", {"Destination": destination})
        job = server.call(
            "/portal/v1/jobs", {"Kind": "replay", "Since": "2020-01-01T00:00:00Z", "Rate": "1"}
        )
        server.call("/portal/v1/destinations/pause", {"Destination": "http://127.0.0.1:2"})
        configure(server, [f"{good.url}fleet/{number}" for number in range(3)])
        server.names = {
            **have_long_texts(server, good.url, sids[3]),
            "sid": sids[0],
            "failed": sids[2],
            "waits": sids[4],
            "destination": destination,
            "link": link["token"],
            "other": other["token"],
            "job": job["sid"],
            "account": server.dev["account_sid"],
            "plan": carried_out(server),
            **streamed,
        }
        while server.call("/portal/v1/policy/urls")["found"] < 8:  # it counts at times
            time.sleep(0.2)
        yield server


async def streams_in(data: Path, url: str, *, at: str) -> dict[str, str]:
    """Let events happen in a data folder before its server starts; returns the names of things."""
    location = {"cell_id": "2087", "lac": "65", "lat": 52.5, "lon": 13.0}
    async with console_world(data, is_dev=False, flags={"at": at}) as world:
        _, rule = await world.stream(f"{url}events/of-all-types-and-all-meters")
        _, twilios = await world.stream(f"{url}events", source=Source.TWILIO)
        (event, *_) = await world.happen(*StreamEventType, location=location)
        batch = await world.batch_of(rule)
        await world.batch_of(twilios)
        lake = {"Name": "lake", "Type": "kinesis", "Arn": ARN, "RoleArn": ROLE}
        made = await world.api().post("/portal/v1/streams/destinations", lake)
        assert made.status == 201, made.body
    return {"event": event, "batch": batch, "rule": rule}


def have_long_texts(server: DevServer, receiver: str, failed: str) -> dict[str, str]:
    """Make texts as long as they may be, without a place to break; return the names of pages."""
    name, reason = "W" * 64, "W" * 200
    long = server.send(receiver, **{"W" * 100: "W" * 300})
    server.ended(long)
    server.call("/iam/v1/accounts", json.dumps({"friendly_name": name}).encode())
    server.call("/portal/v1/keys", {"Name": name, "Role": "read_only"})
    server.call("/webhook/v1/secrets", json.dumps({"Name": name}).encode())
    server.call("/portal/v1/links", {"Callback": failed, "Note": name})
    server.call(f"/portal/v1/callbacks/{failed}/discard", {"Reason": reason})
    paused = {"Destination": f"https://{'w' * 60}.{'w' * 60}.example", "Reason": reason}
    server.call("/portal/v1/destinations/pause", paused)
    hold = {"UrlPrefix": f"https://{'w' * 60}.example/{'w' * 200}", "Phase": "before"}
    server.call("/portal/v1/policy/holds", hold, is_operator=True)
    sink = {"Name": name, "Type": "webhook", "Url": f"https://{'w' * 60}.example/{'w' * 200}"}
    destination = server.call("/portal/v1/streams/destinations", sink)["sid"]
    rule = {"Name": name, "Destination": destination, "EventType": StreamEventType.SESSION_ENDED}
    server.call("/portal/v1/streams/rules", rule)
    return {"long": long, "discarded": failed, "paused": paused["Destination"]}


def carried_out(server: DevServer) -> str:
    """Carry out a plan for the URLs of the fleets, and return its id."""
    draft = server.call("/portal/v1/plans/drafts", {"To": "kore"})
    order = {"plan": draft["lines"], "action": "apply", "probe": True}
    server.call("/portal/v1/plans", json.dumps(order).encode())
    return draft["id"]


PAGES: Final = [
    "/console/callbacks",
    "/console/callbacks?status=failed&source=twilio",
    "/console/callbacks?since=between",
    "/console/callbacks?text=nothing+like+this",
    "/console/callbacks/{sid}",
    "/console/callbacks/{failed}",
    "/console/callbacks/{waits}",
    "/console/callbacks/{batch}",
    "/console/callbacks/{long}",
    "/console/callbacks/{discarded}",
    "/console/side-by-side",
    "/console/side-by-side?callback={sid}",
    "/console/undelivered",
    "/console/undelivered/preview?all=yes",
    "/console/undelivered/jobs/{job}",
    "/console/destinations",
    "/console/destinations/one?destination={destination}&account={account}",
    "/console/destinations/one?destination={paused}&account={account}",
    "/console/streams",
    "/console/streams?stream={rule}",
    "/console/streams/events",
    "/console/streams/events?sim=meter+7",
    "/console/streams/events/{event}?account={account}",
    "/console/links",
    "/console/links?callback={sid}",
    "/console/links/{link}",
    "/console/links/{other}",
    "/console/links/no-such-link",
    "/console/move",
    "/console/move?at=2024-11-05",
    "/console/move/hold",
    "/console/move/hold?prefix={destination}&phase=before&until=2025-01-15",
    "/console/move/plans",
    "/console/move/plans?to=kore&canary=20",
    "/console/move/plans/{plan}?account={account}",
    "/console/secrets",
    "/console/accounts/{account}",
    "/console/accounts",
    "/console/audit",
    "/console/dev",
    "/console/sign-in",
    "/console/no-such-page",
]
VARIANTS: Final = [path for path in PAGES if path.partition("?")[0] in PAGES and "?" in path]
"""Other states of pages, which only the long tests check."""


def faults_of(reader: PageReader, path: str) -> Generator[str]:
    """Yield what is wrong with a page, in light and dark colours, wide and narrow."""
    browser = reader.browser
    browser.requests.clear()
    browser.errors.clear()
    browser.prefer("light")
    browser.resize(WIDE)
    reader.open(path)
    browser.run("for (const each of document.querySelectorAll('details')) each.open = true")
    yield from (f"{path}, {fault}" for fault in unreadable(browser))
    for width in (WIDE, NARROW):
        browser.resize(width)
        browser.run(SETTLED)
        if (actual := browser.run("document.documentElement.scrollWidth")) > width:
            yield f"{path}: is {actual} pixels wide, not {width}"
        for cut in browser.run(CUT) + browser.run(CUT_HINTS):
            yield f"{path}, {width}: {cut} is cut"
        for squeezed in browser.run(SQUEEZED):
            yield f"{path}, {width}: {squeezed} has no room"
    for error in browser.errors:
        if "status of 404" not in error:
            yield f"{path}: {error}"
    for url in browser.requests:
        if not url.startswith((f"{reader.base}/", "data:")):  # the browser's own pictures
            yield f"{path}: asks for {url}"


CUT: Final = """[...document.querySelectorAll("main *")].filter(each => {
  const style = getComputedStyle(each);
  if (each.closest(".unseen, svg, .scroll, thead") || style.display === "inline") return false;
  if (each.matches("input, select, option, datalist")) return false;
  return each.checkVisibility() && style.overflowX !== "auto" && style.overflowX !== "scroll"
    && each.scrollWidth > each.clientWidth + 1 && each.clientWidth > 0;
}).slice(0, 3).map(each => each.outerHTML.slice(0, 120))"""
CUT_HINTS: Final = """[...document.querySelectorAll("main [placeholder]")].filter(each => {
  const given = each.value;
  each.value = each.placeholder;
  const isCut = each.scrollWidth > each.clientWidth + 1;
  each.value = given;
  return isCut && each.checkVisibility();
}).map(each => each.placeholder)"""
SQUEEZED: Final = """[...document.querySelectorAll("main :is(code, a)")].filter(each =>
  each.checkVisibility() && /^\\S{1,40}$/.test(each.textContent)
    && each.getClientRects().length > 3
).slice(0, 3).map(each => each.textContent)"""


@pytest.fixture(scope="module")
def checking(filled: DevServer, tmp_path_factory: pytest.TempPathFactory) -> Generator[PageReader]:
    """A browser in which pages are checked; all tests of pages share it."""
    with reading(filled, tmp_path_factory.mktemp("profile")) as reader:
        reader.browser.call("Page.setBypassCSP", enabled=True)  # for the checks, which are a script
        yield reader


@needs_a_browser
@pytest.mark.parametrize(
    "path", [pytest.param(path, marks=[pytest.mark.long] * (path in VARIANTS)) for path in PAGES]
)
def test_a_page_is_readable_by_everybody(
    filled: DevServer, checking: PageReader, path: str
) -> None:
    assert list(faults_of(checking, path.format(**filled.names))) == []


@needs_a_browser
def test_the_policy_lets_no_script_of_others_run(filled: DevServer, tmp_path: Path) -> None:
    with reading(filled, tmp_path) as reader:
        reader.open("/console/callbacks")
        reader.browser.run(
            "{const s = document.createElement('script'); s.textContent = 'window.ran = 1';"
            " document.body.append(s)}"
        )
        assert reader.browser.run("window.ran === undefined") is True
        assert any("Content Security Policy" in error for error in reader.browser.errors)


@needs_a_browser
def test_all_of_it_can_be_used_by_the_keyboard(filled: DevServer, tmp_path: Path) -> None:
    with reading(filled, tmp_path) as reader:
        reader.open(f"/console/callbacks/{filled.names['sid']}")
        reader.presses("Tab")
        assert reader.focus == "Skip to the content"
        assert reader.browser.run(
            "getComputedStyle(document.activeElement).outlineStyle !== 'none'"
        )
        reader.presses("Enter")
        assert reader.address.endswith("#main")
        reader.tabs_to("Replay as kore…")
        reader.presses("Enter")
        reader.waits_for("with a token of its own")
        reader.presses("Tab")
        assert reader.focus == "Replay as kore"
        reader.presses("Enter")
        text = reader.waits_for("This new callback from kore repeats the one before")
        assert "Why kore" in text


TICKS_DURING_A_REFRESH: Final = """
  const part = document.getElementById("groups");
  part.setAttribute("hx-headers", "{}");  // as if something were new
  document.addEventListener("htmx:afterRequest", () => { window.hasArrived = true; });
  htmx.trigger(part, "refresh");
  part.querySelector("[name=all]").click();
"""


@needs_a_browser
def test_what_is_ticked_stays_so_although_a_refresh_was_under_way(tmp_path: Path) -> None:
    with (
        receiving(lambda _: False) as bad,
        dev_server(tmp_path / "data", "--schedule", "1s") as server,
        reading(server, tmp_path / "profile") as reader,
    ):
        server.ended(server.send(bad.url))
        reader.open("/console/undelivered")
        reader.browser.run(f"{{{TICKS_DURING_A_REFRESH}}}")
        reader.waits_until("window.hasArrived")
        assert reader.browser.run("document.querySelector('[name=all]').checked") is True


@needs_a_browser
def test_a_page_works_without_a_script(filled: DevServer, tmp_path: Path) -> None:
    filled.ended(filled.send("http://127.0.0.1:3/#cbs=kore"))  # the job does not replay this one
    with reading(filled, tmp_path) as reader:
        reader.browser.call("Emulation.setScriptExecutionDisabled", value=True)
        reader.open("/console/callbacks")
        assert "every 3 s" not in reader.text
        reader.chooses("failed", of="[name=status]")
        reader.chooses("kore", of="[name=source]")
        reader.follows("Filter")
        assert "status=failed" in reader.address
        assert "Why kore" in reader.follows("SIM update", on="main a")
        reader.clicks("Discard…")
        reader.types("no need any more", into="[name=reason]")
        reader.clicks("Discard", on="main form button.danger")
        reader.waits_for("no need any more")


@needs_a_browser
def test_a_new_user_sees_the_move_happen(tmp_path: Path) -> None:
    with (
        receiving() as receiver,
        dev_server(tmp_path / "data", "--at", "2024-10-10") as server,
        reading(server, tmp_path / "profile") as reader,
    ):
        assert "No callbacks yet" in reader.text

        # An event is triggered in another window, and its callback appears here by itself.
        reader.browser.run("window.isThePageBefore = true")
        server.call(f"/v1/Sims/{server.dev['sim_sid']}", {"Status": "inactive"} | called(receiver))
        reader.waits_for("SIM update inactive", "delivered")
        assert reader.browser.run("window.isThePageBefore === true")

        # Why did it come from twilio? And what would kore have sent?
        text = reader.follows("SIM update")
        assert "Why twilio" in text
        assert "Default decides" in text
        text = reader.follows("Side by side", on="main a")
        assert "computed with the same parameters, and was not sent" in text
        assert "Kore-Signature" in text
        reader.follows("SIM update")

        # It is sent again, by kore.
        reader.clicks("Replay as kore…")
        text = reader.follows("Replay as kore", on="main form button")
        assert "This new callback from kore repeats the one before" in text
        reader.waits_for("1 sent", "200")
        assert len(received(receiver, "kore-signature")) == 1

        # The default moves from twilio to kore, because the clock passes the border.
        text = reader.follows("The move")
        assert "the default moves from twilio to kore" in text
        reader.waits_for("Another source than today: 1 URL")
        reader.follows("Dev", on="nav a")
        reader.clicks("Advance past 16 October 2024…")
        reader.follows("Advance the clock", on="main form button")
        text = reader.follows("The move")
        assert "twilio ends" in text
        reader.waits_until(
            "document.querySelector('svg[aria-label^=Timeline]').getAttribute('aria-label')"
            ".includes('Today is 16 October 2024')"
        )

        # The same URL is now called from kore. What is new moves no row until it is asked for.
        reader.follows("Callbacks")
        server.call(f"/v1/Sims/{server.dev['sim_sid']}", {"Status": "active"} | called(receiver))
        reader.waits_for("1 new callback")
        reader.follows("1 new callback")
        text = reader.follows("SIM update active")
        assert "Why kore" in text
        assert "Default decides" in text
        assert len(received(receiver, "kore-signature")) == 2
        assert len(received(receiver, "x-twilio-signature")) == 1


def called(receiver: ListeningServer) -> dict[str, str]:
    return {"CallbackUrl": f"{receiver.url}path?foo=bar", "CallbackMethod": "POST"}


def received(receiver: ListeningServer, header: str) -> list[Request]:
    """Return the requests with this header."""
    return [one for one in receiver.requests if header in {name.lower() for name, _ in one.headers}]


@needs_a_browser
@pytest.mark.timeout(240)
@pytest.mark.parametrize("number", [50, pytest.param(500, marks=pytest.mark.long)])
def test_an_operator_moves_urls_and_replays_what_was_not_delivered(
    number: int, tmp_path: Path
) -> None:
    switched_off = threading.Event()

    def takes_no_kore(request: Request) -> bool:
        return "kore-signature" not in {name.lower() for name, _ in request.headers}

    with (
        receiving(lambda _: not switched_off.is_set()) as good,
        receiving(takes_no_kore) as bad,
        dev_server(tmp_path / "data", "--at", "2024-10-10") as server,
        reading(server, tmp_path / "profile") as reader,
    ):
        last, moved = number - 1, number - 1
        urls = [(bad if one == last else good).url + f"sms/{one}" for one in range(number)]
        configure(server, urls)
        send_to_all(server)

        # A plan in two steps, which are watched for some seconds each.
        reader.follows("The move")
        reader.follows("Move URLs by a plan…")
        reader.chooses("kore", of="[name=to]")
        reader.chooses("no", of="[name=probe]")
        for value, field_name in (("20", "canary"), ("10s", "soak"), ("1", "least")):
            reader.types(value, into=f"[name={field_name}]")
        text = reader.follows("Show the plan", on="main button")
        assert f"{number} URLs would move to K kore" in text.replace("Kkore", "K kore")
        assert "nothing is changed yet" in text
        reader.follows(f"Move {number} URLs to kore", on="main button")
        reader.waits_for(f"{number // 5} URLs, watching, ends in")
        send_to_all(server)

        reader.waits_for(f"{number - number // 5} URLs, watching")
        send_to_all(server)

        # One receiver delivered worse. It went back, and the page says why; the others moved.
        text = reader.waits_for("Apply: done", "1 delivered worse, went back", f"{moved} moved")
        assert "1 of 1 fail (100.0 %)" in text
        assert sum(url.endswith("#cbs=kore") for url in configured(server)) == moved
        assert f"{bad.url}sms/{last}" in configured(server)

        # The good receiver is switched off for a while, so callbacks to it fail.
        switched_off.set()
        send_to_all(server)
        reader.follows("Undelivered")
        reader.waits_for(f"All {moved} that match")
        switched_off.clear()

        # They are replayed after a preview; the replay is cancelled, and another takes the rest.
        before = len(good.requests)
        reader.clicks(f"All {moved} that match", on="label")
        text = reader.follows("Replay…", on="main button")
        assert f"Replay {moved} callbacks?" in text
        assert len(good.requests) == before
        reader.types(str(number // 25), into="[name=Rate]")
        reader.follows(f"Replay {moved} callbacks", on="main button")
        reader.waits_for("sent again", "to come")
        reader.clicks("Cancel…")
        text = reader.follows("Cancel the replay", on="main button")
        assert "It is cancelled." in text
        reader.follows("Undelivered", on="nav a")
        reader.clicks("All", on="label.tick")
        reader.follows("Replay…", on="main button")
        reader.follows("Replay", on="main form button.primary")
        reader.waits_for("done")
        reader.follows("Undelivered", on="nav a")
        reader.waits_for("Nothing failed")
        assert len(good.requests) == before + moved


def configure(server: DevServer, urls: list[str]) -> None:
    """Make a fleet for each URL, which its messages are called back to."""
    profile = server.call("/supersim/v1/Fleets")["fleets"][0]["network_access_profile_sid"]
    for number, url in enumerate(urls):
        form = {"UniqueName": f"fleet_{number}", "NetworkAccessProfile": profile}
        server.call("/supersim/v1/Fleets", {**form, "SmsCommandsUrl": url})


def configured(server: DevServer) -> list[str]:
    fleets = server.call("/supersim/v1/Fleets?PageSize=1000")["fleets"]
    return [fleet["sms_commands_url"] for fleet in fleets if fleet["sms_commands_url"]]


def send_to_all(server: DevServer) -> None:
    """Send a callback to each URL, in the form that it has now, and wait until all have ended."""
    callbacks = [{"url": url, "parameters": {"Status": "received"}} for url in configured(server)]
    made = server.call("/portal/v1/callbacks", json.dumps({"callbacks": callbacks}).encode())
    for one in made["callbacks"]:
        server.ended(one["sid"])
