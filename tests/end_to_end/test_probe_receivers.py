"""The probe finds the fault of each example receiver, and none if there is none."""

import asyncio
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pytest

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.probe.case_kinds import ProbeCase
from ringback.probe.probe_cases import CASES
from ringback.probe.probe_report import CaseVerdict, ProbeReport
from ringback.probe.receiver_faults import ReceiverFaultKind
from tests.corpus.receivers.test_receivers import CORPUS
from tests.end_to_end.framework_apps import COMMANDS, WITHOUT_GET, running
from tests.fakes import AUTH_TOKEN, KORE_SECRET
from tests.unit.probe.receivers import TIMES, named, probed

VARIABLES: Final = {
    **os.environ,
    "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
    "KORE_SECRET": KORE_SECRET,
    "RINGBACK_AUTH_TOKEN": AUTH_TOKEN,
    "RINGBACK_KORE_SECRET": KORE_SECRET,
    "WORK_SECONDS": "1",
}
RECEIVERS: Final = Path(__file__).parents[2] / "examples" / "receivers"
ROW: Final = re.compile(r"\| \[(\w+)\.py\]\(\1\.py\) \| (.+) \| (.*) \|")
ROWS: Final = {
    match[1]: (match[2], match[3])
    for match in ROW.finditer((RECEIVERS / "README.md").read_text("utf-8"))
}
NAMED: Final[Mapping[str, set[str]]] = {
    name: set(re.findall(r"`([a-z0-9-]+)`", faults)) for name, (_, faults) in ROWS.items()
}
"""The faults that the probe must report for each receiver: the README lists them, too."""
# The probe waits for these, so they start first: the others are probed meanwhile.
LASTING: Final = (
    "marks_before_it_works",
    "marks_after_the_answer",
    "gives_back_what_is_done",
    "checks_then_acts",
)
IN_ORDER: Final = sorted(NAMED, key=lambda name: name not in LASTING)
RESTARTED: Final = ("right", "forgets_all", "forgets_on_restart")
AT_ONCE: Final = 18
PATIENT: Final = replace(TIMES, quiet=0.1)
# For callbacks that are never answered, or late, the probe waits less than a sender does.
IMPATIENT: Final = {
    "never_answers": replace(PATIENT, request=1.0),
    "is_slow": replace(PATIENT, answer=0.7),
}
# Ends the process whose number is in a file, and runs the rest in its place.
RESTART: Final = """
import os, pathlib, signal, subprocess, sys
pid = pathlib.Path(sys.argv[1])
os.kill(int(pid.read_text()), signal.SIGKILL)
pid.write_text(str(subprocess.Popen(sys.argv[2:], stdout=subprocess.DEVNULL).pid))
"""

pytestmark = pytest.mark.timeout(180)  # seconds for all of them; 20 on an idle machine


@dataclass
class Receiver:
    """A running example."""

    name: str
    folder: Path
    port: int = 0
    process: subprocess.Popen[bytes] = field(init=False, repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/callbacks"

    @property
    def command(self) -> list[str]:
        file = str(RECEIVERS / f"{self.name}.py")
        return [sys.executable, file, "--port", str(self.port), "--data", str(self.folder)]

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, env=VARIABLES)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    async def restart(self, _: float) -> None:
        self.kill()
        self.start()

    async def effects(self) -> int:
        """Return its number of effects, as /effects does, but more cheaply."""
        return (self.folder / "effects.txt").read_bytes().count(b"\n")


@asynccontextmanager
async def served(name: str, folder: Path) -> AsyncGenerator[Receiver]:
    """Run an example, at a port that it finds."""
    receiver = Receiver(name, folder)
    receiver.start()
    try:
        async with asyncio.timeout(30):
            while not (printed := (folder / "log").read_text("utf-8")).endswith("\n"):
                assert receiver.process.poll() is None, printed
                await asyncio.sleep(0.05)
        receiver.port = int(printed.split(":")[2].partition("/")[0])
        assert printed == f"{receiver.url}\n"
        yield receiver
    finally:
        receiver.kill()


async def side_by_side(
    names: Iterable[str], report_on: Callable[[str], Awaitable[ProbeReport]]
) -> dict[str, ProbeReport]:
    """Return the reports on all of these, with a limit on how many run at once."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(name: str) -> tuple[str, ProbeReport]:
        async with room:
            return name, await report_on(name)

    return dict(await asyncio.gather(*map(one, names)))


def by_verdict(report: ProbeReport, *verdicts: CaseVerdict) -> list[str]:
    return [result.case.name for result in report.results if result.verdict in verdicts]


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ProbeReport]:
    """The probe's report on each example; all are probed at the same time."""
    folder = tmp_path_factory.mktemp("probed")

    async def report_on(name: str) -> ProbeReport:
        made = on_framework if name in COMMANDS else on_receiver
        return await made(name, folder / name.replace(" ", "-"))

    return asyncio.run(side_by_side([*IN_ORDER, *COMMANDS], report_on))


async def on_receiver(name: str, folder: Path) -> ProbeReport:
    async with served(name, folder) as receiver:
        return await probed(
            receiver.url,
            timeouts=IMPATIENT.get(name, PATIENT),
            read_counter=receiver.effects,
            restart=receiver.restart if name in RESTARTED else None,
        )


async def on_framework(name: str, folder: Path) -> ProbeReport:
    command = COMMANDS[name]
    with running(command, folder, auth_token=AUTH_TOKEN, kore_secret=KORE_SECRET) as app:
        await asyncio.to_thread(app.wait)

        async def effects() -> int:
            return len(app.lines())

        async def restart(_: float) -> None:
            app.kill()
            app.start()

        return await probed(
            app.url, cases=cases_for(name), timeouts=PATIENT, read_counter=effects, restart=restart
        )


def cases_for(name: str) -> tuple[ProbeCase, ...]:
    methods = (None, HttpMethod.POST) if name in WITHOUT_GET else (None, *HttpMethod)
    return tuple(case for case in CASES if case.method in methods)


# ---- one for each fault --------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMED)
def test_exactly_the_faults_of_a_receiver_are_reported(
    name: str, reports: dict[str, ProbeReport]
) -> None:
    assert named(reports[name]) == NAMED[name], reports[name].faults


def test_the_correct_receiver_passes_everything(reports: dict[str, ProbeReport]) -> None:
    report = reports["right"]
    assert by_verdict(report, CaseVerdict.PASSED, CaseVerdict.NOT_FOR_IT) == [
        case.name for case in CASES
    ]
    # It has one URL, without a query.
    assert by_verdict(report, CaseVerdict.NOT_FOR_IT) == ["twilio-post-query", "kore-post-query"]


def test_there_is_a_receiver_for_each_fault() -> None:
    in_corpus = (receiver.faults for receiver in CORPUS.values())
    found = set[str]().union(*NAMED.values(), *in_corpus)
    assert found == {fault.label for fault in ReceiverFaultKind}


def test_the_table_describes_each_receiver_as_its_docstring_does() -> None:
    told = {
        path.stem: path.read_text("utf-8").split('"""')[1].partition("\n\n")[0].rstrip(".")
        for path in RECEIVERS.glob("*.py")
    }
    del told["serving"]
    assert {name: what for name, (what, _) in ROWS.items()} == told


async def test_an_unobserved_check_does_not_pass(tmp_path: Path) -> None:
    async with served("right", tmp_path / "right") as receiver:
        report = await probed(receiver.url)
    needing = [case.name for case in CASES if "effect" in case.expects]
    assert by_verdict(report, CaseVerdict.NOT_OBSERVED, CaseVerdict.NOT_RUN) == needing
    assert report.is_ready
    assert not report.is_complete


# ---- the command ---------------------------------------------------------------------------------


async def test_the_command_passes_the_correct_receiver(tmp_path: Path) -> None:
    async with served("right", tmp_path / "right") as receiver:
        report = await said_of(receiver, exit_code=0)
    assert report["complete"]
    assert {case["verdict"] for case in report["cases"]} == {"passed", "does not apply"}


async def test_the_command_names_the_fault(tmp_path: Path) -> None:
    async with served("forgets_on_restart", tmp_path / "forgets") as receiver:
        report = await said_of(receiver, exit_code=1)
    assert [fault["name"] for fault in report["faults"]] == ["forgets-on-restart"]


async def said_of(receiver: Receiver, *, exit_code: int) -> dict[str, Any]:
    """Return the command's report; it reads the counter and restarts the receiver itself."""
    pid = receiver.folder / "pid"
    pid.write_text(str(receiver.process.pid))
    run = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ringback", "probe", receiver.url, "--ci", "--json"),
        "--settle=100ms",
        f"--observe={receiver.url.replace('/callbacks', '/effects')}",
        f"--restart={shlex.join([sys.executable, '-c', RESTART, str(pid), *receiver.command])}",
        stdout=asyncio.subprocess.PIPE,
        env=VARIABLES,
    )
    try:
        printed, _ = await run.communicate()
    finally:
        os.kill(int(pid.read_text()), signal.SIGKILL)
    assert run.returncode == exit_code
    return json.loads(printed)


# ---- the examples with the toolkit, in each framework --------------------------------------------


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in WITHOUT_GET])
def test_the_toolkit_passes_everything_in_each_framework(
    name: str, reports: dict[str, ProbeReport]
) -> None:
    report = reports[name]
    assert named(report) == set()
    assert by_verdict(report, CaseVerdict.PASSED) == [case.name for case in CASES]


@pytest.mark.parametrize("name", WITHOUT_GET)
def test_an_added_query_goes_unnoticed_only_where_the_framework_does_not_pass_it(
    name: str, reports: dict[str, ProbeReport]
) -> None:
    report, unnoticed = reports[name], ["twilio-post-added-query"]
    assert by_verdict(report, CaseVerdict.FAILED) == unnoticed
    passed = [case.name for case in cases_for(name) if case.name not in unnoticed]
    assert by_verdict(report, CaseVerdict.PASSED) == passed
