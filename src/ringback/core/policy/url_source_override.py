"""Changes the text of a callback URL so that it asks for another source, and nothing else.

It works on the text, not on a `CallbackUrl`, since everything else that the customer wrote must
stay as it is: credentials, the order of the keys, and unknown keys.
"""

from ringback.core.policy.source_policy import SourceName


def override_source(url: str, source: SourceName) -> str:
    """Return a callback URL whose fragment asks for this source, once.

    >>> override_source("http://a.example/p#rc=2", "kore")
    'http://a.example/p#rc=2&cbs=kore'
    >>> override_source("http://a.example/p#cbs=twilio&rc=2", "kore")
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
