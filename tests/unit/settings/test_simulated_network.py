"""The settings of the simulated network, also for single SIMs and accounts."""

from collections.abc import Callable
from datetime import timedelta
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from ringback.core.errors import ConfigurationError
from ringback.core.sims.scenario import NORMAL, SCENARIOS
from ringback.core.sims.simulated_network import EVERYONE, SimulationSettings
from ringback.settings.load import load
from ringback.settings.setting_definitions import ServerCommand
from tests.fakes import ACCOUNT_SID, SIM_SID
from tests.wireless_fakes import WIRELESS_SIM_SID

ROOT = Path(__file__).parents[3]
WriteFile = Callable[[str], str]


def refusal_of(path: str) -> str:
    with pytest.raises(ConfigurationError) as refused:
        load({"settings": path}, {})
    return str(refused.value)


@pytest.mark.parametrize(
    ("command", "devices", "data_per_day"),
    [(ServerCommand.DEV, "127.64.0.0/10", 1_000_000), (ServerCommand.SERVE, "100.64.0.0/10", 0)],
)
def test_without_settings_the_simulated_network_is_normal(
    command: ServerCommand, devices: str, data_per_day: int
) -> None:
    assert load({}, {}, command=command).simulation == SimulationSettings(
        takes=timedelta(milliseconds=500),
        devices=IPv4Network(devices),
        data_per_day=data_per_day,
        seed=0,
        scenarios={EVERYONE: NORMAL},
    )


def test_the_simulated_network_has_all_of_its_settings(write_file: WriteFile) -> None:
    path = write_file(f'[scenarios]\n{SIM_SID} = "slow"\n{ACCOUNT_SID} = "no-stock"')
    flags = {
        "settings": path,
        "scenario": "ip-fails",
        "update_takes": "3s",
        "data_per_day": "5",
        "seed": "7",
        "devices": "10.1.0.0/16",
    }
    assert load(flags, {}).simulation == SimulationSettings(
        takes=timedelta(seconds=3),
        devices=IPv4Network("10.1.0.0/16"),
        data_per_day=5_000_000,
        seed=7,
        scenarios={
            SIM_SID: SCENARIOS["slow"],
            ACCOUNT_SID: SCENARIOS["no-stock"],
            EVERYONE: SCENARIOS["ip-fails"],
        },
    )


def test_a_scenario_applies_to_a_sid_in_either_letter_case(write_file: WriteFile) -> None:
    path = write_file(f'[scenarios]\nHS{SIM_SID[2:].upper()} = "slow"')
    assert load({"settings": path}, {}).simulation.scenario_of(SIM_SID) is SCENARIOS["slow"]


@pytest.mark.parametrize("sid", [SIM_SID, WIRELESS_SIM_SID])
def test_a_scenario_is_set_for_a_sim_of_either_product(sid: str, write_file: WriteFile) -> None:
    path = write_file(f'[scenarios]\n{sid} = "slow"')
    assert load({"settings": path}, {}).simulation.scenario_of(sid) is SCENARIOS["slow"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (
            'meter = "slow"',
            "meter = \"slow\": 'meter' is not the SID of a SIM (HS…, DE…) or an account (AC…)",
        ),
        (
            f'HF{SIM_SID[2:]} = "slow"',
            f"HF{SIM_SID[2:]} = \"slow\": 'HF{SIM_SID[2:]}' is not the SID of a SIM",
        ),
        (f'{SIM_SID}0 = "slow"', f"{SIM_SID}0 = \"slow\": '{SIM_SID}0' is not the SID of a SIM"),
        ('"*" = "slow"', "* = \"slow\": '*' is not the SID of a SIM"),
        ('"" = "slow"', " = \"slow\": '' is not the SID of a SIM"),
        (
            f'{SIM_SID} = "fast"',
            f"{SIM_SID} = \"fast\": there is no scenario 'fast'; the scenarios are normal",
        ),
        (f'{SIM_SID} = ""', f'{SIM_SID} = "" is empty; leave it out, or write normal'),
        (f"{SIM_SID} = 1", f"{SIM_SID} = 1: this must be text in quotes"),
        (f'{SIM_SID} = ["slow"]', f'{SIM_SID} = ["slow"]: this must be text in quotes'),
        (f'{SIM_SID}.is = "slow"', f"{SIM_SID} = {{'is': 'slow'}}: this must be text in quotes"),
    ],
)
def test_a_scenario_for_an_invalid_sid_is_refused_by_its_line(
    line: str, why: str, write_file: WriteFile
) -> None:
    path = write_file(f"port = 0\n[scenarios]\n{line}")
    assert refusal_of(path).startswith(f"{path}:3: {why}")


@pytest.mark.parametrize("line", ['scenarios = "slow"', 'scenarios = ["slow"]', "scenarios = 1"])
def test_scenarios_in_the_file_are_a_table(line: str, write_file: WriteFile) -> None:
    path = write_file(line)
    assert refusal_of(path) == (f'{path}:1: scenarios must be a table [scenarios] of name = "text"')


def test_a_mistyped_name_of_the_table_is_refused_with_a_suggestion(write_file: WriteFile) -> None:
    path = write_file('[scenarois]\nHS0 = "slow"')
    assert refusal_of(path) == (f"{path}:1: there is no setting scenarois; did you mean scenarios?")
