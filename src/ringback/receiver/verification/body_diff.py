"""Describes in words how a received body differs from the one that was sent."""

from collections.abc import Iterable, Sequence
from typing import Final

from ringback.receiver.verification.received_request import read_form

_NAMED: Final = 5
_NAME_LENGTH: Final = 40


def describe_change(sent: bytes, received: bytes) -> str:
    """Return a description of how a received form differs from the form that was sent.

    >>> describe_change(b"SimStatus=active&ApiVersion=v1", b"SimStatus=ready&Extra=1")
    'changed: SimStatus; added: Extra; removed: ApiVersion'
    >>> describe_change(b"a=1&b=2", b"b=2&a=1")
    'the same parameters in another order'
    """
    before, after = read_form(sent), read_form(received)
    if before == after:
        return "the same parameters, written in another way"
    old, new = _by_name(before), _by_name(after)
    if old == new:
        return "the same parameters in another order"
    kinds = (
        ("changed", [name for name in new if name in old and new[name] != old[name]]),
        ("added", [name for name in new if name not in old]),
        ("removed", [name for name in old if name not in new]),
    )
    return "; ".join(f"{kind}: {_listed(names)}" for kind, names in kinds if names)


def _by_name(form: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    values = dict[str, list[str]]()
    for name, value in form:
        values.setdefault(name, []).append(value)
    return values


def _listed(names: Sequence[str]) -> str:
    shown = [name if len(name) <= _NAME_LENGTH else f"{name[:_NAME_LENGTH]}…" for name in names]
    more = len(names) - _NAMED
    return ", ".join(shown[:_NAMED]) + (f" and {more} more" if more > 0 else "")
