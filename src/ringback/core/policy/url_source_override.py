"""Changes the source that a callback URL asks for, and nothing else in the URL.

It edits the URL's text, so that the credentials, the order of the fragment's keys and unknown keys
stay as the customer wrote them.
"""

from ringback.core.policy.source_policy import SourceName


def override_source(url: str, source: SourceName) -> str:
    """Return the callback URL with one `cbs` key in its fragment, which asks for this source.

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
