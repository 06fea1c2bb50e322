"""A callback URL's text -> the text that asks for another source, and is else the same.

It works on the text, not on a `CallbackUrl`: somebody wrote it, so all that is not meant stays
letter by letter: credentials, the order of the keys, and keys that nobody knows.
"""

from ringback.core.source import SourceName


def retargeted(url: str, source: SourceName) -> str:
    """Return a callback URL whose fragment asks for this source, once.

    >>> retargeted("http://a.example/p#rc=2", "kore")
    'http://a.example/p#rc=2&cbs=kore'
    >>> retargeted("http://a.example/p#cbs=twilio&rc=2", "kore")
    'http://a.example/p#cbs=kore&rc=2'
    """
    base, _, fragment = url.partition("#")
    pairs, asked = fragment.split("&"), f"cbs={source}"
    places = [place for place, pair in enumerate(pairs) if pair.partition("=")[0] == "cbs"]
    if not places:
        joint = "&" if fragment and not fragment.endswith("&") else ""
        return f"{base}#{fragment}{joint}{asked}"
    pairs[places[0]] = asked
    kept = [pair for place, pair in enumerate(pairs) if place not in places[1:]]
    return f"{base}#{'&'.join(kept)}"
