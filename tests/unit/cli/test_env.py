"""`ringback env`: variables that a shell takes over as they are."""

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from ringback.cli.main import main
from ringback.dev_environment.dev_file import DevServerDetails

DEV = DevServerDetails(
    *("http://127.0.0.1:8080", "AC1", "it's $HOME", "SK1", 'a "b" `c`', "kore", "HS1", "DE1"),
    phase="before",
    data_file="x",
)


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_shell_gets_every_value_as_it_is(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed on this machine; .ci/run installs it")
    DEV.write(tmp_path)
    printed = CliRunner().invoke(main, ["env", "--data", str(tmp_path)]).stdout
    names = ("BASE_URL", "TWILIO_AUTH_TOKEN", "API_KEY", "API_KEY_SECRET")
    show = " ".join(f'"${name}"' for name in names)
    script = f'eval "$1"; printf "%s|" {show}'
    done = subprocess.run(
        [shell, "-c", script, shell, printed], check=True, capture_output=True, text=True
    )
    assert done.stdout == 'http://127.0.0.1:8080|it\'s $HOME|SK1|a "b" `c`|'


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_path_that_is_not_printable_is_visible_and_the_shell_gets_it_as_it_is(
    shell: str, tmp_path: Path
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed on this machine; .ci/run installs it")
    odd = "/a\x1b[8m\n'b'\\\x9b\u202e\udcff\U000e0001$HOME/ca.pem"
    replace(DEV, tls_url="https://localhost", ca_file=odd).write(tmp_path)
    printed = CliRunner().invoke(main, ["env", "--data", str(tmp_path)]).stdout
    assert all(line.isprintable() for line in printed.splitlines())
    script = 'eval "$1"; printf "%s" "$CA_FILE"'
    done = subprocess.run([shell, "-c", script, shell, printed], check=True, capture_output=True)
    assert done.stdout == os.fsencode(odd)


def test_https_has_variables_only_if_it_is_served(tmp_path: Path) -> None:
    DEV.write(tmp_path)
    values = json.loads(CliRunner().invoke(main, ["env", "--json", "--data", str(tmp_path)]).stdout)
    assert values["SIM_SID"] == "HS1"
    assert "CA_FILE" not in values
