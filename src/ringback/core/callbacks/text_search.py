"""How a text that a person searches for can be written in a callback's body."""

import json
from urllib.parse import quote_plus


def written_forms(text: str) -> tuple[str, ...]:
    r"""Return the text as it is, and as bodies encode it, if that differs.

    A form may have it as one value, or as names and values with `=` and `&` between them.

    >>> written_forms("active")
    ('active',)
    >>> written_forms('Note=the "SIM"')
    ('Note=the "SIM"', 'Note%3Dthe+%22SIM%22', 'Note=the+%22SIM%22', 'Note=the \\"SIM\\"')
    """
    in_json = json.dumps(text, ensure_ascii=False)[1:-1]
    forms = text, quote_plus(text), quote_plus(text, safe="=&"), in_json
    return tuple(dict.fromkeys(forms))
