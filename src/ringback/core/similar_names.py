"""Suggests existing names for a name that does not exist: synonyms, and correct spellings."""

import re
from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches
from typing import Final

_SYNONYMS: Final = (
    "active activated activate enabled enable",
    "inactive deactivated deactivate disabled disable suspended suspend canceled cancelled",
    "failed fails fail failure error rejected refused",
    "sent send sending",
    "delivered deliver delivery confirmed",
    "received receive incoming inbound",
    "unconfirmed undelivered",
    "sms message text",
    "ip datagram udp",
    "esim profile",
    "command cmd",
    "unattached detached offline disconnected",
    "asleep sleep sleeping",
    "slow delayed delay latency",
    "normal default",
)
_WORDS: Final = {word: line.split()[0] for line in _SYNONYMS for word in line.split()}
"""Each known word with the first of its synonyms, which stands for all of them."""
_MOST: Final = 3


def similar_names(name: str, names: Iterable[str]) -> list[str]:
    """Return up to three of the existing `names` that are like the given `name`, the best first.

    Names with the same words (or synonyms of them) come first. Names that contain these words and
    others follow. If there are none of either, the name with the most similar spelling is returned.

    >>> similar_names("sim.deactivated", ["sim.active", "sim.inactive"])
    ['sim.inactive']
    """
    names = list(names)
    asked, meanings = _meaning(name, names), {other: _meaning(other, names) for other in names}
    if not asked:
        return []
    same = [other for other in names if meanings[other] == asked]
    same.sort(key=lambda other: SequenceMatcher(None, name, other).ratio(), reverse=True)
    more = [other for other in names if meanings[other] > asked]
    by_spelling = {other.lower(): other for other in names}
    spelt = [by_spelling[each] for each in get_close_matches(name.lower(), by_spelling, 1)]
    return (same + more or spelt)[:_MOST]


def suggestion(name: str, names: Iterable[str]) -> str:
    """Return `; did you mean …?` with existing names similar to `name`; empty without any.

    >>> suggestion("sim.activate", ["sim.active", "sim.inactive"])
    '; did you mean sim.active?'
    """
    similar = similar_names(name, names)
    return f"; did you mean {' or '.join(similar)}?" if similar else ""


def _meaning(name: str, names: Iterable[str]) -> frozenset[str]:
    known = {word for other in names for word in _words(other)} | _WORDS.keys()
    corrected = (get_close_matches(word, known, 1, 0.8) or [word] for word in _words(name))
    return frozenset(_WORDS.get(word, word) for (word, *_) in corrected)


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]
