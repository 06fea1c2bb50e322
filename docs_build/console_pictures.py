"""Pictures of the console's pages, taken in Chromium from a real `ringback dev` with a short story.

Two receivers get callbacks for an hour: one is ready for both sources, and the other one refuses
all callbacks from kore. So each page has something to show. `python -m docs_build.site` puts a
picture in the place of its marker, such as `<!-- screenshot: console-callbacks -->`, or nothing if
there is no Chromium.
"""

import json
import subprocess
import sys
import tempfile
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

from docs_build.chromium import PROGRAM, Browser, a_browser
from docs_build.runs import ROOT, environment_without_settings, ringback


class ConsolePicture(NamedTuple):
    """A picture of a page: what it shows, and how it is taken."""

    text: str
    """What the picture shows, for people who can't see it."""
    path: str
    """The page; names in braces are of the story."""
    width: int = 1200
    scheme: str = "light"
    most: int = 1300
    """The greatest height, in pixels; the picture ends before a section that does not fit."""


PICTURES: Final = {
    "console-callbacks": ConsolePicture(
        "The page Callbacks: filters, the callbacks of both sources in each minute of the last"
        " hour, and the list of callbacks with source, status and last answer",
        "/callbacks",
        most=900,
    ),
    "console-callback": ConsolePicture(
        "The page of one callback: its status and token, the chain of steps that decided its"
        " source, and its attempts with the time that each step took",
        "/callbacks/{failed}",
    ),
    "console-side-by-side": ConsolePicture(
        "The page Side by side: the two requests of one callback, header by header, and how each"
        " signature is computed",
        "/side-by-side?callback={delivered}",
    ),
    "console-undelivered": ConsolePicture(
        "The page Undelivered: groups of callbacks that failed, each with its URL, its source, the"
        " number of callbacks and the last answer",
        "/undelivered",
    ),
    "console-destinations": ConsolePicture(
        "The page Destinations: the paused one comes first; each has its share of delivered"
        " attempts, the last hour, and its URLs with their sources",
        "/destinations",
    ),
    "console-destination": ConsolePicture(
        "The page of one destination: its state, its last hour, its URLs, and whether its receiver"
        " is ready for each source",
        "/destinations/one?destination={refuses}&account={account}",
    ),
    "console-streams": ConsolePicture(
        "The page Streams: two destinations at kore with their streaming rules, each with the types"
        " of its events, and whether it gets any",
        "/streams?account={account}",
        most=900,
    ),
    "console-move": ConsolePicture(
        "The page The move: a timeline of the phases, the changes that are ahead with the receivers"
        " that would break, a hold, and which source sends to each URL on a day",
        "/move",
        most=1500,
    ),
    "console-secrets": ConsolePicture(
        "The page Secrets: an active and a pending webhook secret, the rehearsal of the pending"
        " one, the Auth Token and the API keys",
        "/secrets?account={account}",
    ),
    "console-links": ConsolePicture(
        "The page Links: a form that makes a link, and two links with the time until which they"
        " open, their notes and visits",
        "/links",
    ),
    "console-shared": ConsolePicture(
        "What a link opens: one callback with its attempts, without the side bar and without"
        " buttons",
        "/links/{token}",
        most=1000,
    ),
    "console-history": ConsolePicture(
        "The page History: changes by day, each with who made it, and the values before and after",
        "/audit",
        most=900,
    ),
    "console-accounts": ConsolePicture(
        "The page Accounts: each account with its keys and its callbacks of the last hour, and the"
        " operator's own API keys",
        "/accounts",
    ),
    "console-dev": ConsolePicture(
        "The page Dev: two triggered events and what came of them, a button for each event, and"
        " the clock with the callbacks that are due next",
        "/dev",
        most=1500,
    ),
    "console-narrow": ConsolePicture(
        "One callback on a telephone: all that the wide page has is below each other",
        "/callbacks/{failed}",
        width=360,
        most=1200,
    ),
    "console-dark": ConsolePicture(
        "The page Side by side in dark colours, with the example of KORE's notice",
        "/side-by-side",
        scheme="dark",
        most=800,
    ),
}

_RECEIVERS: Final = ("right", "expects_twilio_headers")
"""The programs in examples/receivers that get the callbacks."""
_ROUNDS: Final = (3, 5, 2, 6, 4, 7, 3)
"""How many callbacks are sent to each URL, every 8 minutes."""
_PATIENCE: Final = 20.0
_LEAST: Final = 620
"""The least height of a picture, in pixels."""
_END: Final = """(most => {
  const whole = document.documentElement.scrollHeight;
  if (whole <= most) return whole;
  const parts = "main > *, main section, main tr, main details.attempt";
  const ends = [...document.querySelectorAll(parts)]
    .map(each => each.getBoundingClientRect().bottom).filter(end => end <= most);
  return Math.ceil(Math.max(...ends)) + 1;
})"""
"""A script that returns where a picture ends: after the last part of the page that fits whole."""


def take_pictures(folder: Path) -> None:
    """Write all pictures to WebP files in a folder; none if there is no Chromium."""
    if PROGRAM is None:
        return
    with ExitStack() as stack:
        folder_of_all = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        flags = ("--gateway", "none", "--at", "2024-10-10", "--schedule", "5s,30s,2m")
        command = ringback("dev", "--json", "--port", "0", *flags)
        server = _Server(json.loads(stack.enter_context(_first_line(command, folder_of_all))))
        ready, refuses = (
            stack.enter_context(_receiver(name, folder_of_all / name, server.secrets))
            for name in _RECEIVERS
        )
        browser = stack.enter_context(a_browser(folder_of_all / "profile"))
        browser.open(server.dev["console_url"])
        names = _story(server, browser, ready, refuses)
        for name, picture in PICTURES.items():
            url = f"{server.base}/console{picture.path.format(**names)}"
            (folder / f"{name}.webp").write_bytes(_taken(browser, url, picture))


@contextmanager
def _receiver(name: str, folder: Path, secrets: Mapping[str, str]) -> Generator[str]:
    """Run an example receiver, and yield its URL."""
    folder.mkdir()
    command = (sys.executable, str(ROOT / "examples" / "receivers" / f"{name}.py"), "--port", "0")
    with _first_line(command, folder, secrets) as line:
        yield line.strip()


@contextmanager
def _first_line(
    command: Sequence[str], folder: Path, variables: Mapping[str, str] | None = None
) -> Generator[str]:
    """Run a program, and yield the first line that it prints."""
    environment = {**environment_without_settings(), **(variables or {})}
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield "" if process.stdout is None else process.stdout.readline()
        finally:
            process.terminate()


def _taken(browser: Browser, url: str, picture: ConsolePicture) -> bytes:
    browser.prefer(picture.scheme)
    browser.resize(picture.width, _LEAST)
    browser.open(url)
    height = browser.run(f"{_END}({picture.most})")
    browser.resize(picture.width, height)
    clip = {"x": 0, "y": 0, "width": picture.width, "height": height, "scale": 1}
    shot = browser.call("Page.captureScreenshot", format="webp", quality=72, clip=clip)
    return b64decode(shot["data"])


class _Server:
    """A running `ringback dev`, asked by its APIs."""

    def __init__(self, dev: Mapping[str, str]) -> None:
        self.dev = dev
        self.base = dev["base_url"]

    @property
    def secrets(self) -> Mapping[str, str]:
        """The variables with which a receiver verifies signatures."""
        return {"TWILIO_AUTH_TOKEN": self.dev["auth_token"], "KORE_SECRET": self.dev["kore_secret"]}

    def get(self, path: str) -> Any:
        """Return an answer to the account."""
        return self._call("account_sid", "auth_token", path, None)

    def post(self, path: str, **form: str | Sequence[str]) -> Any:
        """Send a form as the account; a parameter with several values is repeated."""
        body = urlencode(form, doseq=True).encode()
        return self._call("account_sid", "auth_token", path, body)

    def post_json(self, path: str, content: Mapping[str, object]) -> Any:
        """Send JSON as the account."""
        return self._call("account_sid", "auth_token", path, json.dumps(content).encode())

    def operate(self, path: str, **form: str) -> Any:
        """Send a form as the operator."""
        body = urlencode(form).encode()
        return self._call("operator_key_sid", "operator_key_secret", path, body)

    def send(self, *urls: str) -> list[str]:
        """Send a callback to each URL, and return their SIDs."""
        sim = {"SimSid": self.dev["sim_sid"], "SimStatus": "active"}
        callbacks = [{"url": url, "parameters": sim} for url in urls]
        sent = self.post_json("/portal/v1/callbacks", {"callbacks": callbacks})
        return [one["sid"] for one in sent["callbacks"]]

    def _call(self, name: str, password: str, path: str, body: bytes | None) -> Any:
        pair = f"{self.dev[name]}:{self.dev[password]}".encode()
        request = Request(f"{self.base}{path}", body)  # noqa: S310 (our own server)
        request.add_header("Authorization", f"Basic {b64encode(pair).decode()}")
        if body is not None and body.startswith(b"{"):
            request.add_header("Content-Type", "application/json")
        with urlopen(request, timeout=_PATIENCE) as answer:  # noqa: S310 (our own server)
            return json.load(answer)


def _story(server: _Server, browser: Browser, ready: str, refuses: str) -> Mapping[str, str]:
    """Let things happen on the server, and return the names that paths of pictures have."""
    unreachable = "http://127.0.0.1:9/callbacks"
    usual = (ready, f"{ready}#cbs=kore", refuses)
    failing = (f"{refuses}#cbs=kore", unreachable)
    failed = server.send(failing[0])[0]
    for number in _ROUNDS:
        server.send(*(usual * number), *failing)
        server.post("/portal/v1/clock", Advance="8m")
    server.send(*failing)
    _wait_until(lambda: _is_counted(server))
    server.post("/portal/v1/receiver_checks", Url=refuses)
    _send_form(browser, "/console/secrets/create", name="autumn 2024")
    server.post("/portal/v1/rehearsals", Forgeries="yes", Url=ready)
    server.post("/portal/v1/keys", Name="dashboard", Role="read_only")
    server.post_json("/iam/v1/accounts", {"friendly_name": "Acme meters"})
    for event, to in (("sms.received", ready), ("sim.active", failing[0])):
        _send_form(browser, "/console/dev/trigger", event=event, to=to)
    _wait_until(lambda: "goes on" not in _text_of(browser, "/console/dev"))
    delivered = server.send(usual[1])[0]
    destination = refuses.removesuffix("/callbacks")
    link = server.post("/portal/v1/links", Callback=failed, Note="for Jo at Acme", Days="2")
    server.post("/portal/v1/links", Destination=destination, Note="for the firewall team")
    _text_of(browser, f"/console/links/{link['token']}")
    hold = {"UrlPrefix": ready, "Phase": "before", "Until": "2024-12-01"}
    server.operate("/portal/v1/policy/holds", **hold)
    server.post("/portal/v1/destinations", Destination=destination, Rate="50")
    paused = {"Destination": unreachable.removesuffix("/callbacks"), "Reason": "is being rebuilt"}
    server.post("/portal/v1/destinations/pause", **paused)
    server.send(unreachable)
    _make_streams(server, ready)
    return {
        "account": server.dev["account_sid"],
        "delivered": delivered,
        "failed": failed,
        "refuses": quote(destination, safe=""),
        "token": link["token"],
    }


def _make_streams(server: _Server, url: str) -> None:
    """Make two event streams of kore; one of them is tested, the other one is disabled."""
    paths = ("/portal/v1/streams/destinations", "/portal/v1/streams/rules")
    for name, types, enabled in (
        ("Test bench", ["attachment.rejected", "attachment.failed"], "no"),
        ("Usage", ["data-session.updated", "data-session.ended"], "yes"),
    ):
        sid = server.post(paths[0], Name=name, Type="webhook", Url=url)["sid"]
        server.post(
            paths[1], Name=f"{name}, all", Destination=sid, EventType=types, Enabled=enabled
        )
    for change in ("attach", "detach"):
        server.post(f"/portal/v1/devices/{server.dev['sim_sid']}/{change}")
    sent = server.post(f"{paths[0]}/{sid}/test")
    _wait_until(lambda: server.get(f"/portal/v1/callbacks/{sent['sid']}")["status"] != "scheduled")


def _is_counted(server: _Server) -> bool:
    """Return True if the server has counted the callbacks by URL, which it does at times."""
    server.post("/portal/v1/clock", Advance="10s")
    return server.get("/portal/v1/policy/outlook")["callbacks_counted"] is not None


def _send_form(browser: Browser, path: str, **form: str) -> None:
    """Send a form of a page, as the person who is signed in."""
    body = json.dumps(urlencode(form))
    browser.run(
        f"fetch({json.dumps(path)}, {{method: 'POST', body: new URLSearchParams({body})}})"
        ".then(answer => { if (!answer.ok) throw Error(answer.status) })"
    )


def _text_of(browser: Browser, path: str) -> str:
    browser.open(f"{browser.run('location.origin')}{path}")
    return browser.run("document.body.innerText")


def _wait_until(happens: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE
    while not happens():
        if time.monotonic() > end:
            raise TimeoutError("the story of the pictures does not go on")
        time.sleep(0.05)
