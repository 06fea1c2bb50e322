"""Makes the text that `ringback policy show` and `ringback policy simulate` print."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ringback.core.policy.policy_impact import PolicyImpact

Record = Mapping[str, Any]


def lines_of_policy(record: Record) -> Iterator[str]:
    """Yield the lines for `ringback policy show`, from its JSON object."""
    yield f"policy of {record['policy_of']}"
    if "version" in record:
        yield _version_line(record)
    yield f"{record['date']}: phase {record['phase']} is in force"
    if record.get("stays_in"):
        yield f"the server stays in phase {record['stays_in']}, whatever the date"
    yield from _listed("phases", [_phase_line(phase) for phase in record["phases"]])
    yield from _listed("holds", [_hold_line(hold) for hold in record["holds"]])
    yield from _listed("next changes", [_dated_change_line(change) for change in record["borders"]])
    if record["warnings"]:
        yield from _listed("warnings", record["warnings"])
    if "dependents" in record:
        at = record["counted"]
        counted = "callbacks of the last week, " + (f"counted {at}" if at else "not counted yet")
        yield from _listed(counted, [_dependents_line(one) for one in record["dependents"]])
    for problem in ("problem", "behind"):
        if record.get(problem):
            yield from _listed("the settings file is not in force", [record[problem]])


def lines_of_simulation(record: Record) -> Iterator[str]:
    """Yield the lines for `ringback policy simulate`, from its JSON object."""
    yield f"policy of {record['policy_of']}"
    if record["stays_in"] is None:
        yield f"now, {record['now']}: phase {record['phase_now']}"
    else:
        yield f"the server stays in phase {record['stays_in']}, as if it were {record['now']}"
    yield f"on {record['at']}: phase {record['phase']}"
    yield from _listed(
        "changes until then", [_dated_change_line(change) for change in record["borders"]]
    )
    yield ""
    week = record["last_week"]
    if week is None:
        yield "to count the callbacks of the last week, name a data folder with --data"
        return
    yield f"since {week['since']}: {_impact(week)}"
    yield f"on {record['at']}, another source would send {week['would_move']} of them"
    changing = [one for one in week["called"] if one["changes"]]
    yield from _listed("URLs that change their source", [_change_line(one) for one in changing])
    for dependents in week["dependents"]:
        source = dependents["source"]
        on_it = [one for one in week["called"] if one["now"]["source"] == source]
        lines = [f"{_url_line(one)}  {one['why_now']}" for one in on_it]
        yield from _listed(
            f"URLs that depend on {source}, which ends: {_impact(dependents)}", lines
        )


def _listed(what: str, lines: Sequence[str]) -> Iterator[str]:
    yield ""
    yield what
    yield from (f"  {line}" for line in lines or ["none"])


def _version_line(record: Record) -> str:
    # Only the operator sees where a version is from.
    origin = record["origin"]
    details = f", from {origin}, {record['date_created']}" if origin else ""
    return f"version {record['version']}{details}"


def _phase_line(phase: Record) -> str:
    others = " or ".join(source for source in phase["may_ask"] if source != phase["default"])
    asked = f"unless a URL asks for {others}" if others else "whatever a URL asks for"
    since = phase["since"] or "from the beginning"
    return f"{phase['name']:<12}  {since:<20}  {phase['default']}, {asked}"


def _hold_line(hold: Record) -> str:
    who = "  ".join(filter(None, (hold["account_sid"], hold["url_prefix"]))) or "every callback"
    verb = "ended" if hold["has_ended"] else "until"
    until = f"{verb} {hold['until']}" if hold["until"] else "without an end"
    return f"{who}  in phase {hold['phase']}  {until}"


def _dated_change_line(change: Record) -> str:
    return f"{change['date']}  {change['meaning']}"


def _dependents_line(one: Record) -> str:
    return f"{one['source']}, which ends, would still send {_impact(one)}"


def _impact(counted: Record) -> PolicyImpact:
    return PolicyImpact(counted["accounts"], counted["urls"], counted["callbacks"])


def _change_line(one: Record) -> str:
    change = f"{one['now']['source']} -> {one['then']['source']}"
    return f"{_url_line(one)}  {change}  {one['then']['reason']}"


def _url_line(one: Record) -> str:
    return f"{one['account_sid']}  {one['url']}  {one['callbacks']}"
