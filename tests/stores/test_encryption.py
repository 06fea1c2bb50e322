"""Encrypting secrets: keys, places, and key files."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ringback.core.errors import ConfigurationError
from ringback.stores.encryption import SecretCipher, make_key_file, new_key

PLACE = "accounts.auth_token of AC1"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "ringback.key"


# ---- sealing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("secret", ["hunter2", "", "tökén", "two\nlines\n", "x" * 9999])
def test_an_encrypted_secret_can_be_decrypted_and_is_not_visible(secret: str) -> None:
    cipher = SecretCipher([new_key()])
    sealed = cipher.seal(secret, PLACE)
    assert cipher.open(sealed, PLACE) == secret
    assert not secret or secret not in sealed


def test_the_same_secret_is_encrypted_differently_each_time() -> None:
    cipher = SecretCipher([new_key()])
    assert cipher.seal("hunter2", PLACE) != cipher.seal("hunter2", PLACE)


@pytest.mark.parametrize("place", ["accounts.auth_token of AC2", "", f"{PLACE}1"])
def test_a_secret_moved_to_another_place_cannot_be_decrypted(place: str) -> None:
    cipher = SecretCipher([new_key()])
    sealed = cipher.seal("hunter2", PLACE)
    cipher.open(sealed, PLACE)
    with pytest.raises(
        ConfigurationError,
        match=(
            f"the encrypted secret in {place} belongs to {PLACE}, so the data"
            " file was altered; restore it from a backup"
        ),
    ) as refused:
        cipher.open(sealed, place)
    assert "hunter2" not in str(refused.value)


def test_another_key_cannot_decrypt() -> None:
    sealed = SecretCipher([new_key()]).seal("hunter2", PLACE)
    with pytest.raises(
        ConfigurationError,
        match=(
            f"the secret in {PLACE} was encrypted with another key; give the"
            " right key file with --seal-key-file"
        ),
    ):
        SecretCipher([new_key()]).open(sealed, PLACE)


@pytest.mark.parametrize(
    "damage",
    [lambda sealed: sealed[:-4], lambda _: "", str.swapcase],
    ids=["cut off", "empty", "changed"],
)
def test_a_damaged_secret_cannot_be_decrypted(damage: Callable[[str], str]) -> None:
    cipher = SecretCipher([new_key()])
    with pytest.raises(ConfigurationError):
        cipher.open(damage(cipher.seal("hunter2", PLACE)), PLACE)


def test_the_first_of_several_keys_encrypts_and_the_others_still_decrypt() -> None:
    old, new = new_key(), new_key()
    sealed_before = SecretCipher([old]).seal("hunter2", PLACE)
    cipher = SecretCipher([new, old])
    assert cipher.open(sealed_before, PLACE) == "hunter2"
    assert SecretCipher([new]).open(cipher.seal("hunter2", PLACE), PLACE) == "hunter2"


def test_a_keys_id_reveals_nothing_about_the_key() -> None:
    key = new_key()
    (key_id,) = SecretCipher([key]).key_ids
    assert SecretCipher([new_key(), key]).key_ids[1] == key_id
    assert len(key_id) == 16
    assert key_id not in key


@pytest.mark.parametrize("key", ["", "abc", "ä" * 44, "x" * 40, f"{'x' * 42}="])
def test_an_invalid_key_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(
        ConfigurationError, match="a key must be 32 bytes in URL-safe Base64"
    ) as refused:
        SecretCipher([new_key(), key])
    assert not key or key not in str(refused.value)


def test_without_any_key_there_is_no_cipher() -> None:
    with pytest.raises(ConfigurationError, match="a key must be 32 bytes"):
        SecretCipher([])


# ---- key files -----------------------------------------------------------------------------------


def test_a_key_file_is_created_once_and_only_its_owner_can_read_it(key_file: Path) -> None:
    make_key_file(key_file)
    sealed = SecretCipher.in_file(key_file).seal("hunter2", PLACE)
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in key_file.parent.iterdir()] == [key_file.name]
    assert SecretCipher.in_file(key_file).open(sealed, PLACE) == "hunter2"


def test_a_key_file_can_have_several_keys_one_a_line(key_file: Path) -> None:
    old, new = new_key(), new_key()
    key_file.write_text(f"{new}\r\n\n{old}\n", "utf-8")
    assert SecretCipher.in_file(key_file).key_ids == SecretCipher([new, old]).key_ids


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe\0", b"hunter2\n", b"key: hunter2\n"])
def test_a_file_with_other_content_is_refused_and_left_unchanged(
    key_file: Path, content: bytes
) -> None:
    key_file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=f"{key_file} is not a key file: ") as refused:
        SecretCipher.in_file(key_file)
    assert "hunter2" not in str(refused.value)
    assert key_file.read_bytes() == content


def test_an_unusable_file_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"the key file {tmp_path} can't be used: "):
        SecretCipher.in_file(tmp_path)


OPEN = """
import sys
from pathlib import Path
from ringback.stores.encryption import SecretCipher, make_key_file
sys.stdin.read()
make_key_file(Path(sys.argv[1]))
print(*SecretCipher.in_file(Path(sys.argv[1])).key_ids)
"""


def test_processes_that_start_at_once_have_the_same_key(key_file: Path) -> None:
    opening = [sys.executable, "-c", OPEN, str(key_file)]
    pipe = subprocess.PIPE
    others = [subprocess.Popen(opening, stdin=pipe, stdout=pipe) for _ in range(3)]
    for other in others:
        assert other.stdin is not None
        other.stdin.close()
        other.stdin = None
    told = {other.communicate(timeout=30)[0] for other in others}
    assert told == {f"{SecretCipher.in_file(key_file).key_ids[0]}\n".encode()}
