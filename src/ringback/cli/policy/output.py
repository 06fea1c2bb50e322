"""Makes the text that `ringback policy show` and `ringback policy simulate` print."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ringback.cli.policy.urls_left import change_line, lines_of_each_url, lines_of_urls
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
        counted = "URLs in use, and their callbacks of the last 8 days, " + (
            f"counted {at}" if at else "not counted yet"
        )
        yield from _listed(counted, [_dependents_line(one) for one in record["dependents"]])
    for problem in ("problem", "behind"):
        if record.get(problem):
            yield from _listed("the settings file is not in force", [record[problem]])


def lines_of_simulation(record: Record, *, limit: int) -> Iterator[str]:
    """Yield the lines for `ringback policy simulate`, from its JSON object."""
    yield f"policy of {record['policy_of']}"
    if record["stays_in"] is None:
        yield f"now, {record['now']}: phase {record['phase_now']}"
    else:
        yield f"the server stays in phase {record['stays_in']}, as if it were {record['now']}"
    yield f"on {record['at']}: phase {record['phase']}"
    if urls := record["urls"]:
        yield change_line(urls)
    yield ""
    yield from lines_of_urls(record, limit=limit)
    if "each_url" in record:
        yield from lines_of_each_url(record["each_url"], record["at"])


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
