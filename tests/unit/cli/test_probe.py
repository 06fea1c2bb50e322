"""`ringback probe`: what it is told, and how it ends; the run itself is tested elsewhere."""

import json

import pytest
from click.testing import CliRunner, Result

from ringback.cli.main import main
from tests.fakes import AUTH_TOKEN, KORE_SECRET


def run_probe(*words: str, secrets: bool = True) -> Result:
    given = {"RINGBACK_AUTH_TOKEN": AUTH_TOKEN, "RINGBACK_KORE_SECRET": KORE_SECRET}
    return CliRunner(env=given if secrets else {}).invoke(main, ["probe", *words])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("http://127.0.0.1:1/",), "127.0.0.1:1/ can't be reached: "),
        (("ftp://a.example/",), "ftp"),
        ((), "give the URL of the receiver"),
        (("--timeout=2h", "http://a.example/"), "at most 1m"),
        (("--sim-sid=DE1", "http://a.example/"), "HS and 32 hex digits"),
        (("--observe='", "http://a.example/"), "--observe"),
        (
            ("--restart=", "http://a.example/"),
            "the command is empty; give a program and its arguments",
        ),
        (("--extra-ca-file=nowhere.pem", "https://a.example/"), "nowhere.pem can't be read"),
    ],
)
def test_what_makes_no_run_is_said_in_one_line(words: tuple[str, ...], says: str) -> None:
    run = run_probe(*words)
    assert run.exit_code == 2
    assert run.stdout == ""
    assert says in run.stderr.splitlines()[-1]


def test_without_secrets_there_is_nothing_to_probe_with() -> None:
    run = run_probe("http://a.example/", secrets=False)
    assert run.exit_code == 2
    assert "RINGBACK_KORE_SECRET" in run.stderr


def test_the_cases_can_be_listed_without_a_receiver() -> None:
    run = run_probe("--list", "--source=kore", secrets=False)
    assert run.exit_code == 0
    assert "kore-post-hmac" in run.stdout
    assert "answers-200-to-everything" in run.stdout
    assert "twilio-post" not in run.stdout


def test_the_cases_of_one_method_can_be_listed() -> None:
    run = run_probe("--list", "--method=GET")
    assert "kore-get-sim-update" in run.stdout
    assert "kore-repeat-in-series" in run.stdout
    assert "-post-" not in run.stdout


def test_the_cases_can_be_listed_as_json() -> None:
    run = run_probe("--list", "--source=kore", "--json", secrets=False)
    cases = {case["name"]: case for case in json.loads(run.stdout)["cases"]}
    assert "twilio-post-sim-update" not in cases
    assert cases["kore-post-hmac"]["fault"] == "accepts-hmac"


def test_a_probe_without_a_result_is_an_error_in_json_too() -> None:
    run = run_probe("http://127.0.0.1:1/", "--json")
    assert (run.exit_code, run.stdout) == (2, "")
    error = json.loads(run.stderr)
    assert error["exit_code"] == 2
    assert "127.0.0.1:1/ can't be reached: " in error["error"]
