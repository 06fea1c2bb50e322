"""Old public names still work, and warn with the new name."""

import importlib

import pytest

OLD_NAMES = [
    ("ringback.receiver", "Genuine", "Verified"),
    ("ringback.receiver", "MemorySeen", "MemoryDedupe"),
    ("ringback.receiver", "PostgresSeen", "PostgresDedupe"),
    ("ringback.receiver", "RedisSeen", "RedisDedupe"),
    ("ringback.receiver", "Seen", "DedupeStore"),
    ("ringback.receiver", "SeenUnavailable", "DedupeUnavailable"),
    ("ringback.receiver", "SqliteSeen", "SqliteDedupe"),
    ("ringback.receiver", "Unusable", "ConfigurationError"),
    ("ringback.receiver.asgi", "CallbackApp", "AsgiCallbackApp"),
    ("ringback.receiver.wsgi", "CallbackApp", "WsgiCallbackApp"),
    ("ringback.testing", "Receiver", "RecordingReceiver"),
]


@pytest.mark.parametrize(("module", "old", "new"), OLD_NAMES)
def test_an_old_name_is_an_alias_that_warns(module: str, old: str, new: str) -> None:
    there = importlib.import_module(module)
    with pytest.warns(DeprecationWarning, match=rf"{module}.{old} is now called {new}") as warned:
        found = getattr(there, old)
    assert found is getattr(there, new)
    assert [each.filename for each in warned] == [__file__], "the warning names the line to change"


@pytest.mark.parametrize("module", sorted({module for module, _, _ in OLD_NAMES}))
def test_an_unknown_name_is_still_missing(module: str) -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Missing'"):
        _ = importlib.import_module(module).Missing
