"""The runner of the documents fails where a reader would fail."""

import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.docs.page_runner import (
    PageFailure,
    PageReader,
    as_typed_with_a_wheel,
    blocks,
    is_as_documented,
    make_clone,
    reader_environment,
)
from tests.ports import free_port
from tests.terminals import SHELLS, shared_network

Follow = Callable[..., int]


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def follow(shell: str, tmp_path: Path) -> Follow:
    """Follow a page in an empty folder; return the number of commands."""
    return follower(shell, tmp_path)


def follower(shell: str, folder: Path) -> Follow:
    def follow(page: str, *, within: float = 10, is_long: bool = False) -> int:
        environment = reader_environment(folder / "own")
        with PageReader(shell, folder, environment, within=within) as reader:
            return reader.follow(page, name="page.md", is_long=is_long)

    return follow


def sh(commands: str, *notes: str) -> str:
    return fenced("sh", commands, *notes)


def text(output: str, *notes: str) -> str:
    return fenced("text", output, *notes)


def fenced(language: str, content: str, *notes: str) -> str:
    above = "".join(f"<!-- {note} -->\n" for note in notes)
    return f"{above}```{language}\n{content}\n```\n\n"


# ---- what works ----------------------------------------------------------------------------------


def test_commands_run_in_one_shell_and_print_what_the_page_shows(follow: Follow) -> None:
    page = (
        sh("NAME='a  b'\nmkdir sub; cd sub\nprintf '%s\\n' \\\n  \"$NAME\"")
        + text("a  b")
        + sh("cat <<'END'\none\ntwo\nEND\npwd")
        + text("one\ntwo\n…/sub")
    )
    assert follow(page) == 5


def test_a_file_is_saved_and_used(follow: Follow) -> None:
    page = fenced("python", "print(6 * 7)", "file: sub/answer.py")
    assert follow(page + sh("python3 sub/answer.py") + text("42")) == 1


def test_a_terminal_shows_what_another_one_causes(follow: Follow) -> None:
    page = (
        sh("touch log; echo ready; tail -f log", "terminal: first", "keeps running")
        + text("ready")
        + sh("echo one >> log", "terminal: second")
        + text("one", "terminal: first")
        + sh("echo two >> log; echo three >> log")
        + text("three", "terminal: first")
        + sh("echo $?", "terminal: first", "ends: first")
        + text("130")
    )
    assert follow(page) == 4


def test_a_program_is_waited_for_by_its_port(follow: Follow) -> None:
    serve = "sleep 0.3; exec python3 -m http.server -b 127.0.0.1 9000"
    page = sh(f"sh -c '{serve}'", "keeps running: on port 9000")
    assert follow(page + sh('curl -sSf "http://127.0.0.1:9000/" | head -1', "terminal: b")) == 2


def test_a_command_is_repeated_until_its_output_settles(follow: Follow) -> None:
    page = sh("echo x >> log; grep -c x log", "settles") + text("3")
    assert follow(page + sh("grep -c x log") + text("3")) == 2


def test_a_command_may_have_to_fail(follow: Follow) -> None:
    assert follow(sh("true\n(exit 4)", "exits with: 4")) == 2
    with pytest.raises(PageFailure, match="exit status 0 instead of 4"):
        follow(sh("true", "exits with: 4"))


def test_what_is_not_run_in_each_suite_is_left_out(follow: Follow) -> None:
    page = sh("false", "once in CI: it takes minutes") + text("anything")
    assert follow(page + sh("false", "not run: it needs an account")) == 0
    with pytest.raises(PageFailure, match="exit status 1 instead of 0"):
        follow(page, is_long=True)


def test_nothing_goes_on_after_the_page(shell: str, tmp_path: Path) -> None:
    page = sh("sleep 300 & echo $! > pid\n(trap '' HUP; exec sleep 300) & echo $! >> pid")
    assert follower(shell, tmp_path)(page) == 2
    for pid in (tmp_path / "pid").read_text().split():
        assert not _runs(int(pid))


def _runs(pid: int) -> bool:
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.02)
    return True


def test_a_clone_has_its_programs_once_the_page_puts_them_on_the_path(
    shell: str, tmp_path: Path
) -> None:
    make_clone(tmp_path)
    on_the_path = 'make install\nexport PATH="$PWD/.venv/bin:$PATH"\nringback --version'
    assert follower(shell, tmp_path)(sh(on_the_path) + text("…\nringback …")) == 3


# ---- what fails ----------------------------------------------------------------------------------


def test_a_wrong_command_fails(follow: Follow) -> None:
    with pytest.raises(PageFailure, match="exit status 1 instead of 0"):
        follow(sh("false\necho this is not typed"))


def test_a_missing_program_fails(follow: Follow) -> None:
    with pytest.raises(PageFailure, match="exit status 127 instead of 0") as failure:
        follow(sh("ringback --version"))
    assert "command not found" in str(failure.value)


def test_a_wrong_output_fails_and_both_are_shown(shell: str, tmp_path: Path) -> None:
    page = "# A page\n\n" + sh("echo one; echo two >&2") + text("one\nthree")
    with pytest.raises(PageFailure) as failure:
        follower(shell, tmp_path)(page)
    assert str(failure.value) == (
        f"page.md, line 7, in {shell}: the output is not what the page shows\n"
        "The command:\n    echo one; echo two >&2\n"
        "It printed:\n    one\n    two\n"
        "The page shows:\n    one\n    three"
    )


def test_an_unquoted_question_mark_fails_in_zsh_alone(tmp_path: Path) -> None:
    page = sh("printf '%s\\n' http://127.0.0.1:9000/path?foo=bar")
    assert follower("bash", tmp_path)(page) == 1
    with pytest.raises(PageFailure, match="no matches found"):
        follower("zsh", tmp_path / "own")(page)


def test_a_comment_fails_in_zsh_alone(tmp_path: Path) -> None:
    page = sh("# In the second terminal\necho one")
    assert follower("bash", tmp_path)(page) == 2
    with pytest.raises(PageFailure, match="command not found"):
        follower("zsh", tmp_path / "own")(page)


def test_an_unfinished_command_fails(follow: Follow) -> None:
    with pytest.raises(PageFailure, match="the command is unfinished"):
        follow(sh("echo 'one"))


def test_a_command_that_does_not_end_fails(follow: Follow) -> None:
    with pytest.raises(PageFailure, match=r"the command did not end within 0\.5 s") as failure:
        follow(sh("echo one; sleep 300"), within=0.5)
    assert "It printed:\n    one" in str(failure.value)


def test_a_server_that_ends_fails(follow: Follow) -> None:
    with pytest.raises(PageFailure, match="the command ended with exit status 3"):
        follow(sh("(exit 3)", "keeps running: on port 9000"))


def test_output_that_does_not_come_fails(follow: Follow) -> None:
    page = sh("cat", "keeps running", "terminal: a") + text("one")
    with pytest.raises(PageFailure, match=r"no such output within 0\.5 s"):
        follow(page, within=0.5)


def test_output_that_does_not_settle_fails(follow: Follow) -> None:
    with pytest.raises(PageFailure, match="the output is not what the page shows"):
        follow(sh("echo one", "settles") + text("two"), within=0.5)


@pytest.mark.parametrize("note", ["keep running", "file", "not run"])
def test_a_note_without_a_meaning_fails(note: str, tmp_path: Path) -> None:
    with pytest.raises(PageFailure, match=f"the note '{note}' has no meaning or no value"):
        follower("bash", tmp_path)(sh("true", note))


# ---- pages ---------------------------------------------------------------------------------------


def test_a_block_within_a_list_loses_its_indentation() -> None:
    lines = ("<!-- exits with: 1 -->", "```sh", "if false; then", "  true", "fi", "```")
    page = "1. One:\n\n" + "".join(f"   {line}\n" for line in lines)
    (block,) = blocks(page)
    assert (block.language, block.notes, block.line) == ("sh", {"exits with": "1"}, 4)
    assert block.text == "if false; then\n  true\nfi\n"


def test_the_comment_above_a_block_without_a_language_is_for_another_test() -> None:
    (block,) = blocks("<!-- post-inactive body -->\n```\nPOST / HTTP/1.1\n```\n")
    assert not block.notes


def test_a_person_with_the_wheel_types_no_make() -> None:
    page = (
        "make install\n"
        'export PATH="$PWD/.venv/bin:$PATH"\n'
        "make run\n"
        'make run ARGS="--phase between"\n'
        "make run ARGS=--tls\n"
        "ringback demo"
    )
    assert as_typed_with_a_wheel(page) == (
        "ringback dev\nringback dev --phase between\nringback dev --tls\nringback demo"
    )


@pytest.mark.parametrize(
    ("expected", "printed"),
    [
        ("one\n…\nthree\n", "one\ntwo\ntwo\nthree\n"),
        ("one\n…\n", "one\n"),
        ("fleet HF… SmsCommandsUrl\n", f"fleet HF{'0' * 32}  SmsCommandsUrl\n"),
        (f"AC{'0' * 32} 1.4 s, 3s\n", f"AC{'f' * 32} 2 s, 250 ms\n"),
        ("15:13:46Z 2024-10-10 15:13:46Z\n", "21:00:25Z 2024-11-11T21:00:25.123Z\n"),
        ("2030-04-01 00:00Z\n", "2030-04-01 00:00Z\n"),
    ],
)
def test_output_that_differs_each_time_is_as_documented(expected: str, printed: str) -> None:
    assert is_as_documented(printed, expected)


@pytest.mark.parametrize(
    ("expected", "printed"),
    [
        ("one\nthree\n", "one\ntwo\nthree\n"),
        ("one\n", "one\ntwo\n"),
        ("one …\n", "two one\n"),
        ("HS1\n", "HS2\n"),
        (f"AC{'0' * 32}\n", f"HS{'0' * 32}\n"),
        ("2030-04-01 00:00Z\n", "2030-05-01 00:00Z\n"),
        ("since = 2030-04-01\n", "since = 2030-05-01\n"),
        ("2 moved\n", "3 moved\n"),
    ],
)
def test_other_output_is_not_as_documented(expected: str, printed: str) -> None:
    assert not is_as_documented(printed, expected)


# ---- without a network namespace -----------------------------------------------------------------


def test_a_taken_port_is_named() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(AssertionError, match=rf"port {port} of 127\.0\.0\.1.* end what listens"),
            shared_network([port]),
        ):
            pass


def test_one_test_at_a_time_uses_the_network_of_this_machine() -> None:
    port, order = free_port(), list[str]()

    def second() -> None:
        with shared_network([port]):
            order.append("second")

    with shared_network([port]):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.2)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
