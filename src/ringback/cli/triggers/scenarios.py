"""Steps that have the network behave otherwise, until the end of a trigger."""

from ringback.cli.triggers.stage import Stage, Step


def sim_scenario(name: str) -> Step:
    """Return what has the network treat the SIM by a scenario, until the end."""
    return lambda stage: _choose(stage, name, Sim=stage.fetch_sim()["sid"])


def account_scenario(name: str) -> Step:
    """Return what has the network treat the account by a scenario, until the end."""
    return lambda stage: _choose(stage, name)


def _choose(stage: Stage, name: str, **whose: str) -> None:
    whom = "the SIM" if whose else "the account"
    before = stage.portal.get("scenarios", query=whose)["chosen"] or ""

    def put_back() -> None:
        stage.portal.post("scenarios", form={"Scenario": before, **whose})
        stage.say(f"the scenario of {whom} is what it was")

    stage.undo.callback(put_back)
    stage.portal.post("scenarios", form={"Scenario": name, **whose})
    stage.say(f"the scenario of {whom} is {name}")
