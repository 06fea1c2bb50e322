"""The settings file that `ringback init` writes: all settings with their defaults, as comments."""

from collections.abc import Iterator
from datetime import date
from textwrap import wrap
from typing import Final

from ringback.settings.raw_setting import as_toml
from ringback.settings.setting_definitions import SETTING_GROUPS, ServerCommand, Setting

_WIDTH: Final = 100
_HEAD: Final = """\
# All settings of `ringback serve` and `ringback dev`, as `ringback init` writes them. Start with:
#
#     ringback serve --settings ringback.toml
#
# Each setting that is commented out has its default, or an example if it has none. A flag overrides
# an environment variable, and a variable overrides this file.
"""
# Written by hand, since tables have no default.
_TABLES: Final = """\
# Egress addresses that a callback URL can choose by name: #e=dublin
[egress]
# dublin = "192.0.2.7"

# Scenarios of the simulated network for single SIMs and accounts, by SID.
[scenarios]
# HSab3f06be8f5d32caecb91e8a306c6c08 = "slow"

# Sources in addition to the two built-in ones: `#cbs=acme` chooses this one.
#
#     [sources.acme]
#     signature = "hmac-sha256"
#     token = "evt_{hex}"
#     headers = ["User-Agent: Acme/1.0", "Acme-Id: {token}", "Acme-Signature: sha256={signature}"]

# The phases of the transition. Without any, the phases of KORE's notice apply. The first phase has
# no date, and each further one starts later than the one before it.
#
#     [[phases]]
#     name = "before"
#     default = "twilio"
#     may_ask = ["twilio", "kore"]
#
#     [[phases]]
#     name = "after"
#     since = 2027-06-01
#     default = "kore"
#     may_ask = ["kore"]

# Holds keep an account or a URL prefix in a phase, whatever the date, or until a date. The first
# hold that matches decides. A running server applies changed phases and holds within a second.
#
#     [[holds]]
#     phase = "before"
#     url_prefix = "https://slow-mover.example/"
#     until = 2027-09-01

# Shadows send copies of callbacks from the other source, to compare the answers. Each says which
# callbacks are copied, how the copies are marked (a parameter, a path or another url), and how many
# percent of the callbacks are copied.
#
#     [[shadows]]
#     source = "kore"
#     url_prefix = "https://customer.example/"
#     parameter = "shadow=1"
#     percent = 10

# What is set for destinations (scheme, host and port), first for all of them, then for single ones,
# or for those of an account: how fast requests may come, when a breaker stops them, what they have
# of their own. `ringback destinations set` sets the same at run time.
#
#     [destinations]
#     rate = 200
#     disable_after = "5d"
#
#     [[destinations.for]]
#     destination = "https://*.customer.example"
#     rate = 20
#     breaker = true
#     headers = { X-Team = "meters" }
#
#     [[destinations.for]]
#     account_sid = "AC5ef8732a3c49700934481addd5ce1659"
#     destination = "https://customer.example/meters/*"
#     order = "sim"

# How long what is kept after the end of a callback: the bodies of receivers' answers, the records
# of attempts, delivered and undelivered callbacks. A single account can have times of its own.
# What is deleted can't be brought back.
#
#     [retention]
#     answers = "7d"
#     attempts = "30d"
#     delivered = "30d"
#     undelivered = "90d"
#
#     [retention.accounts.AC5ef8732a3c49700934481addd5ce1659]
#     delivered = "forever"
"""


def settings_template() -> str:
    """Return the text of a settings file in which every setting is a comment.

    Until a line is changed, the file has no effect.
    """
    return "\n".join([_HEAD, *_settings(), _ruler("Tables: they have to come last"), _TABLES])


def _settings() -> Iterator[str]:
    for title, settings in SETTING_GROUPS.items():
        yield _ruler(title)
        yield from map(_setting, settings)


def _ruler(title: str) -> str:
    start = f"# ---- {title.lower()} "
    return f"{start}{'-' * (_WIDTH - len(start))}\n"


def _setting(setting: Setting) -> str:
    default = setting.default_of(ServerCommand.SERVE)
    words = f"{setting.help.partition('  [')[0]}{_note(setting, default)}"
    comment = "\n".join(wrap(words, _WIDTH, initial_indent="# ", subsequent_indent="# "))
    return f"{comment}\n# {setting.name} = {_value(setting, default or setting.example)}\n"


def _note(setting: Setting, default: str) -> str:
    """Return a note if only one command has the setting, or if the default needs an explanation."""
    if setting.only is not None:
        return f" (Only for `ringback {setting.only}`.)"
    if not default:
        return " (No default; this is an example.)"
    of_dev = setting.default_of(ServerCommand.DEV)
    return "" if of_dev == default else f" (Default of `ringback dev`: {_value(setting, of_dev)}.)"


def _value(setting: Setting, text: str) -> str:
    """Return a value as TOML writes it: 1_000_000, true, 2024-10-20, ["30d", "7d"], or "any"."""
    types = setting.form.in_file
    if bool in types:
        return "true" if text == "yes" else "false"
    if int in types and text.isdigit():
        return f"{int(text):_}" if len(text) > 4 else text
    if date in types:
        return text
    return as_toml(text.split(",") if list in types and "," in text else text)
