"""Commands for destinations: what they ask the server for, and what they print."""

import json
from pathlib import Path

import pytest
import trustme
from click.testing import CliRunner, Result

from ringback.cli.main import main
from ringback.core.callbacks.callback import CallbackStatus
from ringback.testing import Emulator
from tests.fakes import a_callback
from tests.tls import pem_text

HERE = "http://127.0.0.1:9"


def run(ringback: Emulator, *words: str, code: int = 0) -> Result:
    who = ("--account-sid", ringback.account_sid, "--auth-token", ringback.auth_token)
    server = ("--server", ringback.base_url)
    result = CliRunner().invoke(main, ["destinations", *words, *server, *who])
    assert result.exit_code == code, result.output
    return result


def lines(ringback: Emulator, *words: str) -> list[str]:
    return run(ringback, *words).stdout.splitlines()


def add(ringback: Emulator, *ports: int) -> None:
    """Add failed callbacks to these ports, where nobody listens."""
    for port in ports:
        one = a_callback(
            sid=f"CB{port:032x}",
            account_sid=ringback.account_sid,
            url=f"http://127.0.0.1:{port}/hook",
            status=CallbackStatus.FAILED,
            due=None,
        )._replace(idempotency_token=f"token {port}")
        ringback._change(lambda tx, _, one=one: tx.callbacks.add(one))


def test_without_destinations_there_is_nothing_to_list(ringback: Emulator) -> None:
    assert lines(ringback, "list") == ["no destinations"]


def test_destinations_are_listed_with_what_is_set_for_others(ringback: Emulator) -> None:
    add(ringback, 9)
    run(ringback, "set", "https://*.example/app/*", "--rate", "3")
    assert lines(ringback, "list") == [
        "STATE     WAITING  SUCCESS      RATE  DESTINATION",
        f"well            0        -         -  {HERE}  {ringback.account_sid}",
        "set for https://*.example:443/app/*:",
        "  rate               3",
    ]
    assert lines(ringback, "list", "--state", "paused") == ["no destinations"]
    answer = json.loads(run(ringback, "list", "--json").stdout)
    assert [one["destination"] for one in answer["destinations"]] == [HERE]


def test_a_list_can_be_searched_and_begin_with_trouble(ringback: Emulator) -> None:
    add(ringback, 9, 10)
    run(ringback, "pause", "http://127.0.0.1:10")
    by_name = lines(ringback, "list")
    first = lines(ringback, "list", "--order", "trouble")
    assert (by_name[1].split()[0], first[1].split()[0]) == ("paused", "paused")
    run(ringback, "resume", "http://127.0.0.1:10")
    run(ringback, "pause", "http://127.0.0.1:9")
    assert [line.split()[0] for line in lines(ringback, "list")[1:]] == ["well", "paused"]
    in_order = lines(ringback, "list", "--order", "trouble")
    assert [line.split()[0] for line in in_order[1:]] == ["paused", "well"]
    found = lines(ringback, "list", "--text", ":10")
    assert [line.split()[4] for line in found[1:]] == ["http://127.0.0.1:10"]


def test_all_pages_are_listed(ringback: Emulator) -> None:
    add(ringback, *range(1, 121))
    answer = json.loads(run(ringback, "list", "--json").stdout)
    assert len(answer["destinations"]) == 120
    assert answer["next_page_token"] is None


def test_values_are_set_shown_and_unset(ringback: Emulator) -> None:
    add(ringback, 9)
    assert lines(
        ringback, "set", HERE, "--rate", "20", "--breaker-share", "50", "--header", "X-A: hunter2"
    ) == [
        f"set for {HERE}:",
        "  rate               20",
        "  breaker_share      50",
        "  headers            X-A: (hidden)",
    ]
    shown = lines(ringback, "show", f"{HERE}/hook")
    assert shown[:5] == [
        f"{HERE} of {ringback.account_sid}: well",
        "waiting      0",
        "last hour    no attempts until the beginning of this minute",
        "rate         20/s, burst 5",
        "settings:",
    ]
    by = f"(the account, at run time, for {HERE})"
    assert f"  rate               20         {by}" in shown
    assert "  burst              5          (the default)" in shown
    assert shown[-2] == "changes, newest first:"
    assert shown[-1].endswith(f"  SetDestination {HERE}  by The notice's account")
    assert lines(ringback, "unset", HERE, "rate", "header") == [
        f"set for {HERE}:",
        "  breaker_share      50",
    ]
    assert lines(ringback, "unset", HERE, "--all") == [f"set for {HERE}:", "  nothing"]


def test_values_that_are_set_anew_take_the_place_of_all_others_at_once(ringback: Emulator) -> None:
    run(ringback, "set", HERE, "--rate", "20", "--header", "X-A: hunter2")
    anew = lines(ringback, "set", HERE, "--unset-all", "--header", "X-B: hunter2")
    assert anew == [f"set for {HERE}:", "  headers            X-B: (hidden)"]
    run(ringback, "unset", HERE, "--all")


def test_certificates_and_headers_are_read_from_files(ringback: Emulator, tmp_path: Path) -> None:
    ca = trustme.CA()
    leaf = ca.issue_cert("ringback.example")
    (tmp_path / "cert.pem").write_text(pem_text(*leaf.cert_chain_pems, leaf.private_key_pem))
    (tmp_path / "ca.pem").write_text(pem_text(ca.cert_pem))
    (tmp_path / "headers").write_text("X-A: hunter2\n\nX-B: hunter2\n")
    files = [
        *("--client-certificate", str(tmp_path / "cert.pem"), "--ca", str(tmp_path / "ca.pem")),
        *("--headers-file", str(tmp_path / "headers")),
    ]
    _, headers, certificate, authority = lines(ringback, "set", HERE, *files)
    assert headers == "  headers            X-A: (hidden), X-B: (hidden)"
    assert ", until 3000-" in certificate
    assert ", until 3000-" in authority
    _, *_, left = lines(ringback, "set", HERE, "--ca", "none")
    assert left == "  ca                 none"


def test_a_destination_is_paused_and_resumed(ringback: Emulator) -> None:
    add(ringback, 9)
    _, paused = lines(ringback, "pause", HERE, "--for", "2h", "--reason", "they move")
    assert paused.startswith("  paused since ")
    assert " until " in paused
    assert paused.endswith(": they move")
    first, second, *_ = lines(ringback, "show", HERE)
    assert first == f"{HERE} of {ringback.account_sid}: paused"
    assert second.startswith("  the destination is paused by the account: they move, since 2")
    assert lines(ringback, "resume", HERE) == [f"set for {HERE}:", "  nothing"]


def test_a_test_says_how_it_ended(ringback: Emulator) -> None:
    (line,) = lines(ringback, "test", f"{HERE}/hook#rc=0")
    assert f" to {HERE}/hook#rc=0: unreachable" in line
    run(ringback, "pause", HERE)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("set", HERE), "give at least one setting, such as --rate 20"),
        (("set", HERE, "--unset-all"), "give at least one setting, such as --rate 20"),
        (("unset", HERE), "name what to unset, such as rate; or give --all"),
        (("unset", HERE, "rate", "--all"), "name what to unset, such as rate; or give --all"),
        (("unset", HERE, "rates"), "'rates' is not one of"),
        (("pause", HERE, "--for", "1h", "--until", "1h"), "give --until or --for, not both"),
        (("pause", HERE, "--for", "soon"), "'soon' is not a valid duration"),
        (("list", "--state", "odd"), "'odd' is not one of"),
    ],
)
def test_wrong_words_are_refused(ringback: Emulator, words: tuple[str, ...], message: str) -> None:
    assert message in " ".join(run(ringback, *words, code=2).stderr.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("set", HERE, "--rate", "fast"), "Rate: 'fast' is not a rate"),
        (("set", HERE, "--total-rate", "5"), "only the operator can set TotalRate"),
        (("set", "a.example", "--rate", "5"), "'a.example' is not a pattern of destinations"),
        (("set", HERE, "--ca", "none.pem"), "the file none.pem can't be read: No such file"),
        (("show", "https://nobody.example"), "no callback was ever sent to"),
        (("show", HERE, "--account", "AC" + "0" * 32), "an account can see and change only its"),
    ],
)
def test_what_the_server_refuses_is_said(
    ringback: Emulator, words: tuple[str, ...], message: str
) -> None:
    assert message in run(ringback, *words, code=1).stderr
