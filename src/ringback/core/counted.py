"""Writes numbers with their nouns."""


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural unless the number is 1.

    >>> counted(1, "callback"), counted(2, "URL"), counted(0, "copy"), counted(3, "day")
    ('1 callback', '2 URLs', '0 copies', '3 days')
    """
    if number == 1:
        return f"1 {noun}"
    ends_in_ies = noun.endswith("y") and noun[-2] not in "aeiou"
    return f"{number} {noun[:-1]}ies" if ends_in_ies else f"{number} {noun}s"
