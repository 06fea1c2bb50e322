"""Secrets in files: read once, refused in a sentence, and never given twice."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ringback.core.errors import ConfigurationError
from ringback.settings.load import load
from ringback.settings.mounted_secrets import database_in, seal_key_in
from ringback.settings.setting_definitions import ServerCommand

ADDRESS = "host=db.internal dbname=ringback password='S3cret '"
Read = Callable[[dict[str, str]], str | None]


def read_by_serve(environment: dict[str, str]) -> str | None:
    return load({}, environment, command=ServerCommand.SERVE).database


both = pytest.mark.parametrize("read", [read_by_serve, database_in])


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    return tmp_path / "database"


@both
def test_the_address_is_in_the_file_without_its_last_newline(read: Read, secret: Path) -> None:
    secret.write_text(f"{ADDRESS}\r\n")
    assert read({"RINGBACK_DATABASE_FILE": str(secret)}) == ADDRESS


@both
@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "can't be read: No such file or directory"),
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"host=h password=\xff", "is not UTF-8"),
        (b"postgresql://u:S3cret@two@h/x", "it has an @ after its host"),
    ],
)
def test_a_file_that_is_of_no_use_is_named(
    read: Read, secret: Path, content: bytes | None, why: str
) -> None:
    if content is not None:
        secret.write_bytes(content)
    with pytest.raises(ConfigurationError) as refused:
        read({"RINGBACK_DATABASE_FILE": str(secret)})
    assert str(refused.value).startswith("RINGBACK_DATABASE_FILE: ")
    assert str(secret) in str(refused.value)
    assert why in str(refused.value)
    assert "S3cret" not in str(refused.value)


@both
def test_an_address_and_a_file_with_one_are_refused(read: Read, secret: Path) -> None:
    secret.write_text(ADDRESS)
    environment = {"RINGBACK_DATABASE": ADDRESS, "RINGBACK_DATABASE_FILE": str(secret)}
    with pytest.raises(
        ConfigurationError, match=r"^RINGBACK_DATABASE and RINGBACK_DATABASE_FILE are both given"
    ):
        read(environment)


def test_a_seal_key_and_a_file_with_one_are_refused() -> None:
    key = {"RINGBACK_SEAL_KEY": "k"}
    named = {**key, "RINGBACK_SEAL_KEY_FILE": "keys"}
    assert seal_key_in(key, None) == "k"
    assert seal_key_in({"RINGBACK_SEAL_KEY": ""}, Path("keys")) is None
    with pytest.raises(ConfigurationError, match=r"RINGBACK_SEAL_KEY and --seal-key-file are both"):
        seal_key_in(key, Path("keys"))
    for refuse in (lambda: seal_key_in(named, Path("keys")), lambda: read_by_serve(named)):
        with pytest.raises(
            ConfigurationError,
            match=r"^RINGBACK_SEAL_KEY and RINGBACK_SEAL_KEY_FILE are both given",
        ):
            refuse()


@pytest.mark.parametrize(
    "line", ["database = 'host=h password=S3cret x'", "database = 5", "seal_key = 12345"]
)
def test_the_settings_file_is_quoted_without_secrets(line: str, tmp_path: Path) -> None:
    file = tmp_path / "ringback.toml"
    file.write_text(line)
    with pytest.raises(ConfigurationError) as refused:
        load({"settings": str(file)}, {}, command=ServerCommand.SERVE)
    assert str(refused.value).startswith(f"{file}:1: {line.split(maxsplit=1)[0]} = ***: ")
    assert "S3cret" not in str(refused.value)


@pytest.mark.parametrize("text", ["host=h password=p", "postgresql://h/x?password=p"])
def test_a_password_in_a_flag_is_refused_in_each_form(text: str) -> None:
    with pytest.raises(ConfigurationError, match="can be read by all users of this machine"):
        load({"database": text}, {}, command=ServerCommand.SERVE)
