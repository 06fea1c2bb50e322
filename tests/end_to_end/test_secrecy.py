"""No server or shell logs, stores or starts with a secret, except where it is shown on purpose.

The search itself is checked: it must find each secret in the output that shows it when it is made.
"""

import asyncio
import json
import sys
from base64 import b64encode
from dataclasses import dataclass, field
from http.client import HTTPConnection
from itertools import product
from pathlib import Path
from typing import Any, Final

import pytest

from ringback.data_folder import KEY_FILE
from tests.receivers import RecordingReceiver
from tests.served import Answered, Served, served_alone

SERVE: Final = (
    *("ringback", "serve", "--log-level", "debug"),
    *("--allow", "loopback", "--lame-duck", "0s"),
)
OPEN: Final = (
    *("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"),
    *("/client/v1/ping", "/fingerprint"),
)
"""Routes that answer without credentials."""
JSON: Final = {"Content-Type": "application/json"}
PASSWORD: Final = "made-up-url-password"


@dataclass
class Traces:
    """The places that are searched, and the secrets that must not be in them."""

    secrets: dict[str, str] = field(default_factory=dict[str, str])
    """The secrets by a description."""
    said: dict[str, bytes] = field(default_factory=dict[str, bytes])
    """What processes, records and answers said, by a description."""
    showed: list[bytes] = field(default_factory=list[bytes])
    """The output that showed each secret when it was made."""

    def leaks(self) -> set[tuple[str, str]]:
        """Return pairs of a secret and the place where it was found."""
        return {
            (name, place)
            for (name, secret), (place, said) in product(self.secrets.items(), self.said.items())
            if is_in(secret, said)
        }


def is_in(secret: str, said: bytes) -> bool:
    """Return True if the text has a secret, in the clear or anywhere in Base64."""
    encoded = (b64encode(bytes(offset) + secret.encode())[4:-4] for offset in range(3))
    return secret.encode() in said or any(each in said for each in encoded)


@dataclass
class Office:
    """A server, and a shell on the machine that it runs on."""

    server: Served
    folder: Path
    traces: Traces

    async def shell(self, *words: str, **secrets: str) -> dict[str, Any]:
        """Run `ringback accounts`; the names in `**secrets` pick the secrets from its output."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ringback", "accounts", *words, "--data", str(self.folder)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert process.returncode == 0, err
        self.traces.said[f"stderr of {words}"] = err
        if not secrets:
            self.traces.said[f"stdout of {words}"] = out
            return {}
        return self.learn(out, **secrets)

    def learn(self, shown: bytes, **secrets: str) -> dict[str, Any]:
        """Record the secrets in this output, under these descriptions."""
        document = json.loads(shown)
        self.traces.showed.append(shown)
        for name, called in secrets.items():
            self.traces.secrets[called] = document[name]
        return document

    async def make(self, path: str, document: Any, **secrets: str) -> dict[str, Any]:
        answer = await self.server.call(
            "POST", path, body=json.dumps(document).encode(), headers=JSON
        )
        assert answer.status == 201, answer
        return self.learn(json.dumps(answer.body).encode(), **secrets)

    async def ask(self, path: str, authorization: str) -> Answered:
        """Send a request with these credentials, and record the answer."""
        answer = await self.server.call("GET", path, headers={"Authorization": authorization})
        self.keep(f"{path} as another", answer)
        return answer

    def keep(self, place: str, answer: Answered) -> None:
        said = f"{answer.headers} {json.dumps(answer.body)}".encode()
        self.traces.said[place] = self.traces.said.get(place, b"") + said


def basic(name: str, password: str) -> str:
    return f"Basic {b64encode(f'{name}:{password}'.encode()).decode()}"


async def furnish(office: Office) -> dict[str, Any]:
    """Create an account with all credentials and secrets that it can have."""
    made = await office.shell(
        *("create", "Acme", "--json"), auth_token="first Auth Token", api_key_secret="first key"
    )
    office.server.dev |= made
    sid = made["account_sid"]
    key, client, _ = await asyncio.gather(
        office.shell("keys", "create", "--account", sid, "--json", secret="second key"),
        office.shell(
            *("clients", "create", sid, "ci", "--admin", "--json"), client_secret="client's secret"
        ),
        office.shell("token", "create", sid, "--json", secondary_auth_token="second Auth Token"),
    )
    await office.shell("token", "promote", sid)
    return made | {"second_key_sid": key["sid"], "client_id": client["client_id"]}


async def sign_in(office: Office, made: dict[str, Any]) -> None:
    """Use all credentials, and each of the secrets under a wrong name."""
    form = {
        "grant_type": "client_credentials",
        "client_id": made["client_id"],
        "client_secret": office.traces.secrets["client's secret"],
    }
    exchanged = await office.server.post("/api-services/v1/auth/token", **form)
    office.learn(json.dumps(exchanged.body).encode(), access_token="bearer token")
    bearer = f"Bearer {office.traces.secrets['bearer token']}"
    assert (await office.ask("/webhook/v1/secrets", bearer)).status == 200
    good = made["second_key_sid"], office.traces.secrets["second key"]
    assert (await office.ask("/v1/Sims", basic(*good))).status == 200
    for called, secret in office.traces.secrets.items():
        # With an empty name, as a name, and as a truncated token.
        tries = [basic(f"nobody {called}", secret), basic(secret, ""), f"Bearer {secret[:-1]}.x"]
        for authorization in tries:
            assert (await office.ask("/v1/Sims", authorization)).status == 401
        refused = await office.server.post(
            "/api-services/v1/auth/token", **{**form, "client_id": called, "client_secret": secret}
        )
        assert refused.status == 401
        office.keep("a refused exchange", refused)


async def call_back(office: Office, receiver: RecordingReceiver) -> None:
    """Send callbacks from both sources, a test event and a rehearsal; some of them fail."""
    urls = [
        receiver.url(f"/{source}#cbs={source}").replace("://", f"://us:{PASSWORD}@")
        for source in ("twilio", "kore")
    ]
    office.traces.secrets["URL's password"] = PASSWORD
    for url in [*urls, f"http://us:{PASSWORD}@127.0.0.1:1/#cbs=kore"]:
        sent = await office.server.call(
            "POST",
            "/portal/v1/callbacks",
            body=json.dumps({"url": url, "parameters": {"a": "1"}}).encode(),
            headers=JSON,
        )
        assert sent.status == 201
        office.keep("a callback that was taken", sent)
    trials = [
        await office.server.post("/portal/v1/test_events", Url=urls[1]),
        await office.server.post("/portal/v1/rehearsals", Url=urls[1]),
    ]
    assert [trial.status for trial in trials] == [201, 201]
    await receiver.wait_for(4)
    for trial in trials:
        office.keep("a trial", trial)


async def look(office: Office) -> None:
    """Record the content of all records."""
    listed = await office.server.get("/portal/v1/callbacks")
    office.keep("the callbacks", listed)
    assert len(listed.body["callbacks"]) == 5
    for callback in listed.body["callbacks"]:
        path = f"/portal/v1/callbacks/{callback['sid']}/attempts"
        office.keep("their attempts", await office.server.get(path))
    for path in ("/webhook/v1/secrets", "/v1/Fleets", "/portal/v1/undelivered"):
        office.keep(path, await office.server.get(path))


def look_without_credentials(office: Office) -> None:
    """Record the answers to requests without credentials."""
    for path in OPEN:
        connection = HTTPConnection(office.server.dev["base_url"].removeprefix("http://"))
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.status == 200, path
        office.traces.said[path] = answer.read()
        connection.close()


def keep_process(office: Office) -> None:
    """Record the server's command line and environment, while they can be seen."""
    for name in ("cmdline", "environ"):
        file = Path(f"/proc/{office.server.process.pid}/{name}")
        office.traces.said[name] = file.read_bytes()


def keep_files(office: Office) -> None:
    """Record all files in the data folder, except the key that opens it."""
    for file in sorted(office.folder.rglob("*")):
        if file.is_file() and file.name != KEY_FILE:
            office.traces.said[file.name] = file.read_bytes()


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs /proc")
async def test_no_secret_can_be_found_afterwards(tmp_path: Path) -> None:
    folder, log, traces = tmp_path / "data", tmp_path / "log", Traces()
    with log.open("wb") as lines:
        async with (
            RecordingReceiver() as receiver,
            served_alone(folder, command=SERVE, log=lines) as server,
        ):
            office = Office(server, folder, traces)
            made = await furnish(office)
            await office.make("/webhook/v1/secrets", {"Name": "next"}, secret="webhook secret")
            secret_id = json.loads(traces.showed[-1])["id"]
            await sign_in(office, made)
            await call_back(office, receiver)
            activated = await server.call(
                "PATCH",
                f"/webhook/v1/secrets/{secret_id}",
                body=b'{"Status": "active"}',
                headers=JSON,
            )
            assert activated.status == 200
            office.keep("an activation", activated)
            await office.make("/webhook/v1/secrets", {"Name": "more"}, secret="pending secret")
            await look(office)
            await asyncio.to_thread(look_without_credentials, office)
            keep_process(office)
            await server.kill()
            assert server.process.stdout is not None
            traces.said["stdout"] = await server.process.stdout.read()
    traces.said["stderr"] = log.read_bytes()
    keep_files(office)
    traces.secrets["seal key"] = (folder / KEY_FILE).read_text().strip()
    in_files = {file.name for file in folder.iterdir()}
    # It goes to the receiver in the clear, and is not encrypted in the data file either.
    unsealed = {("URL's password", name) for name in in_files}
    assert traces.leaks() - unsealed == set()
    for path, known in product(OPEN, ("account_sid", "kore_id", "api_key_sid")):
        assert not is_in(made[known], traces.said[path]), (path, known)
    check_that_it_is_looked_for(traces, made)


def check_that_it_is_looked_for(traces: Traces, made: dict[str, Any]) -> None:
    """Check that the search finds each secret where it was shown."""
    showed = b"".join(traces.showed)
    shown = {name for name, secret in traces.secrets.items() if is_in(secret, showed)}
    assert shown == traces.secrets.keys() - {"URL's password", "seal key"}
    for place in ("ringback.db-wal", "the callbacks", "a trial"):
        assert is_in(made["account_sid"], traces.said[place]), place
    assert is_in(PASSWORD, basic("us", PASSWORD).encode())
    assert b"serving at" in traces.said["stderr"]
    assert b"--log-level" in traces.said["cmdline"]
