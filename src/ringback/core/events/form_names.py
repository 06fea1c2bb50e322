"""Checks the names in a form of parameters, by its kind of callback.

Twilio's signature joins names and values without anything between them. So somebody with a copy of
a form can split it at other places, into other names and values with the same signature. That shows
in the names which each callback of the kind has, as far as the sources show that it has them.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from ringback.core.counted import counted
from ringback.core.events.event_kinds import MARKS, EventMark
from ringback.core.events.payload import EVENTS_BY_SID, PARAMETERS
from ringback.core.sids import SidKind

Form = Sequence[tuple[str, str]]
"""The decoded names and values of a form, in any order."""

REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    SidKind.SIM: ("ApiVersion", "SimSid", "SimStatus", "AccountSid"),  # KORE's notice
    SidKind.WIRELESS_SIM: ("SimSid", "SimStatus"),  # published code that reads them
    # No source shows the others. A form that lacks one is not refused, but its event can't be read.
    SidKind.SMS_COMMAND: ("CommandSid",),
    SidKind.IP_COMMAND: ("CommandSid",),
    SidKind.COMMAND: ("CommandSid",),
    SidKind.ESIM_PROFILE: ("EsimProfileSid",),
}
"""The names that each form of a kind has, by the prefix of the SID that shows the kind."""

REQUIRED_FROM_SIMS: Final[Mapping[str, tuple[str, ...]]] = {
    # A captured request.
    SidKind.SMS_COMMAND: (
        *("Status", "ApiVersion", "SimSid", "Direction", "CommandSid", "AccountSid"),
        "PayloadType",
    ),
    SidKind.COMMAND: ("CommandSid", "SimSid"),  # published code that reads them
}
"""The names that each form about a message from a SIM has, if that is more."""

_FROM_SIMS: Final = {
    ("Direction", "from_sim"),
    ("Status", "received"),
    ("CommandStatus", "received"),
}
_SHOWN: Final = 40
_WORD: Final = (re.compile(r"[a-z]+(?:[_-][a-z]+)*"), "a word in lower case")


def _sid(*prefixes: str) -> tuple[re.Pattern[str], str]:
    begin = " or ".join(prefixes)
    return re.compile(f"(?:{'|'.join(prefixes)})[0-9a-fA-F]{{32}}"), f"{begin} and 32 hex digits"


# The form of each value that is documented, and the same in words. A status is not looked up in a
# list, since the sources may add statuses.
_FORMS: Final[Mapping[str, tuple[re.Pattern[str], str]]] = {
    "AccountSid": _sid("AC"),
    "SimSid": _sid("HS", "DE"),
    "CommandSid": _sid("HC", "HG", "DC"),
    "EsimProfileSid": _sid("HP"),
    "ApiVersion": (re.compile(r"v[0-9]+|[0-9]{4}-[0-9]{2}-[0-9]{2}"), "a version such as v1"),
    "SimStatus": _WORD,
    "Status": _WORD,
    "CommandStatus": _WORD,
    "Direction": _WORD,
    "PayloadType": _WORD,
    "CommandMode": _WORD,
}


def find_form_fault(form: Form) -> str | None:
    """Return why no source sends such a form; None if nothing is wrong with it.

    A form of a known kind must have each required name. Those, and others whose values are
    documented, can be there only once, with a well-formed value. A form of another kind may have
    any names.

    >>> find_form_fault([("SimStatus", "active"), ("SimSid", "HS" + "0" * 32)])
    'it has SimStatus, but not ApiVersion'
    """
    kind = kind_of_form(form)
    if kind is None:
        return None
    mark, prefix = kind
    values = dict[str, list[str]]()
    for name, value in form:
        values.setdefault(name, []).append(value)
    for name in _required(form, prefix):
        if values.get(name, [""]) == [""]:
            others = unknown_names(form)
            but = f" (it has the unknown name {_shown(others[0])})" if others else ""
            return f"it has {mark.parameter}, but not {name}{but}"
    known = (name for name, _ in PARAMETERS[EVENTS_BY_SID[prefix]] if name in _FORMS)
    faults = (_fault_in(name, values.get(name, [""])) for name in known)
    return next(filter(None, faults), None)


def _required(form: Form, prefix: str) -> Sequence[str]:
    if prefix in REQUIRED_FROM_SIMS and not _FROM_SIMS.isdisjoint(form):
        return REQUIRED_FROM_SIMS[prefix]
    return REQUIRED[prefix]


def _fault_in(name: str, values: Sequence[str]) -> str | None:
    if values == [""]:
        return None
    if len(values) > 1:
        return f"it has {name} {counted(len(values), 'time')}"
    pattern, in_words = _FORMS[name]
    if pattern.fullmatch(values[0]) is None:
        return f"its {name} is {_shown(values[0])}; expected {in_words}"
    return None


def unknown_names(form: Form) -> tuple[str, ...]:
    """Return the names that no callback of the form's kind has; none if the kind is not known.

    >>> unknown_names([("SimStatus", "new"), ("SimSid", "HS" + "0" * 32), ("Color", "red")])
    ('Color',)
    """
    kind = kind_of_form(form)
    if kind is None:
        return ()
    known = dict(PARAMETERS[EVENTS_BY_SID[kind[1]]])
    return tuple(dict.fromkeys(name for name, _ in form if name not in known))


def kind_of_form(form: Form) -> tuple[EventMark, str] | None:
    """Return the mark and the prefix of the SID that show a form's kind; None if it is not known.

    Some other application may use a few of the same names: it takes the SID, with one of the
    kind's prefixes. A form of a SIM is also known by all other required names.
    """
    names = dict(form)
    for mark, prefixes in MARKS.items():
        if mark.parameter in names:
            sids = [value[:2] for name, value in form if name == mark.sid and value]
            found = [prefix for prefix in sids or [*prefixes] if prefix in prefixes]
            if found and (sids or _lacks_only_its_sid(names, mark, found[0])):
                return mark, found[0]
    return None


def _lacks_only_its_sid(names: Mapping[str, str], mark: EventMark, prefix: str) -> bool:
    """Return True if a form without its SID is of this kind all the same.

    Which kind of message or profile it is only the SID can say.
    """
    others = {*REQUIRED[prefix]} - {mark.sid}
    pattern, _ = _FORMS["AccountSid"]
    is_of_account = pattern.fullmatch(names.get("AccountSid", "")) is not None
    return bool(others) and others <= names.keys() and is_of_account


def _shown(text: str) -> str:
    return repr(text) if len(text) <= _SHOWN else f"{text[:_SHOWN]!r}…"
