"""`ringback probe`: what it is told, and how it ends; the run itself is tested elsewhere."""

import json
from pathlib import Path

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


SETTINGS = str(Path(__file__).parents[3] / "examples" / "sources" / "standard-webhooks.toml")


def test_the_cases_of_a_source_of_the_settings_can_be_listed() -> None:
    run = run_probe("--list", f"--settings={SETTINGS}", "--source=standard-webhooks")
    assert run.exit_code == 0
    assert "standard-webhooks-post-old-timestamp" in run.stdout
    assert "kore-" not in run.stdout.partition("Faults")[0]


def test_without_a_name_the_sources_of_the_settings_are_tested_too() -> None:
    run = run_probe("--list", f"--settings={SETTINGS}")
    for name in ("twilio-post-hmac", "kore-post-hmac", "standard-webhooks-post-wrong-secret"):
        assert (name in run.stdout) == (name != "twilio-post-hmac")
    two = run_probe(
        "--list", f"--settings={SETTINGS}", "--source=standard-webhooks", "--source=kore"
    )
    assert "a callback of standard-webhooks's and another of KORE's" in two.stdout
    assert "twilio-post" not in two.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--source=acme",), "there is no source 'acme'; the sources are twilio, kore"),
        (("--settings=nowhere.toml",), "nowhere.toml"),
    ],
)
def test_an_unknown_source_is_a_usage_error(words: tuple[str, ...], says: str) -> None:
    run = run_probe("--list", *words)
    assert run.exit_code != 0
    assert says in run.output + str(run.exception)


def test_a_url_may_ask_for_a_source_of_the_settings() -> None:
    url = "http://127.0.0.1:1/#cbs=standard-webhooks"
    assert "cbs must be twilio or kore" in run_probe(url).stderr
    assert "can't be reached" in run_probe(url, f"--settings={SETTINGS}").stderr


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
