"""Finding the line of each key in a TOML file."""

import tomllib

from ringback.settings.toml_lines import KeyPath, lines_of

TEXT = '''\
# port = 1
host = "::1"   # port = 2
motto = """
port = 3
"""
allow = [
  "10.0.0.0/8",  # port = 4
  "loopback",
]
port = 5
"quoted key" = 6
dotted.key = 7

[egress]
away = "any"
"port" = "any"

[[phases]]
name = "a"
default = { of = "x", list = [{ deep = 1 }] }
[[phases]]

name = "b"
[phases.within]
x = 1
'''


def test_each_key_has_the_line_that_it_begins_on() -> None:
    assert lines_of(TEXT) == {
        ("host",): 2,
        ("motto",): 3,
        ("allow",): 6,
        ("allow", 0): 6,
        ("allow", 1): 6,
        ("port",): 10,
        ("quoted key",): 11,
        ("dotted",): 12,
        ("dotted", "key"): 12,
        ("egress",): 14,
        ("egress", "away"): 15,
        ("egress", "port"): 16,
        ("phases",): 18,
        ("phases", 0): 18,
        ("phases", 0, "name"): 19,
        ("phases", 0, "default"): 20,
        ("phases", 0, "default", "of"): 20,
        ("phases", 0, "default", "list"): 20,
        ("phases", 0, "default", "list", 0): 20,
        ("phases", 0, "default", "list", 0, "deep"): 20,
        ("phases", 1): 21,
        ("phases", 1, "name"): 23,
        ("phases", "within"): 24,
        ("phases", "within", "x"): 25,
    }


def test_lines_end_only_as_toml_allows() -> None:
    text = 'host = "a\u2028b"\r\n\r\nport = 1\r\n'
    assert tomllib.loads(text)["port"] == 1
    assert lines_of(text) == {("host",): 1, ("port",): 3}


def test_an_empty_file_has_no_keys() -> None:
    for text in ("", "\n", "# port = 1"):
        assert lines_of(text) == dict[KeyPath, int]()


def test_the_last_line_needs_no_line_break() -> None:
    assert lines_of("port = 1\nhost = 2") == {("port",): 1, ("host",): 2}
