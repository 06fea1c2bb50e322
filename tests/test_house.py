"""The check of the structure finds its problems, in trees made for these tests."""

from pathlib import Path

import pytest

from tests import house


def tree(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_a_class_name_is_used_once(tmp_path: Path) -> None:
    source = tree(tmp_path, a__one="class Answer: ...", b__two="class Answer: ...")
    assert list(house.shared_class_names(source)) == [
        "the class Answer exists 2 times: a/one.py, b/two.py"
    ]


def test_private_classes_and_aliases_may_share_a_name(tmp_path: Path) -> None:
    source = tree(tmp_path, one="class _State: ...\nOld = int", two="class _State: ...\nOld = int")
    assert list(house.shared_class_names(source)) == []


@pytest.mark.parametrize("name", ["test_event", "event_test"])
def test_no_module_looks_like_a_test(tmp_path: Path, name: str) -> None:
    assert list(house.names_of_tests(tree(tmp_path, **{name: ""}))) == [
        f"pytest takes {name}.py for a test: rename it"
    ]


def test_a_package_says_what_it_is_for(tmp_path: Path) -> None:
    (tmp_path / "short").mkdir()
    (tmp_path / "short" / "__init__.py").write_text('"""Too short."""')
    (tmp_path / "long").mkdir()
    says = '"""Says.\n\nMay import all.\nStart with one.\n"""'
    (tmp_path / "long" / "__init__.py").write_text(says)
    [found] = house.packages_without_a_purpose(tmp_path)
    assert found.startswith("short/__init__.py has to say")


def test_only_a_few_modules_may_be_small(tmp_path: Path) -> None:
    fifteen = tree(tmp_path, **{f"small{number}": "" for number in range(15)}, big="\n" * 30)
    assert list(house.small_modules(fifteen)) == []
    [found] = house.small_modules(tree(tmp_path, one_more=""))
    assert found.startswith("16 modules have under 30 lines")


def test_the_loop_fits_on_one_screen(tmp_path: Path) -> None:
    loop = {house.LOOP.removesuffix(".py").replace("/", "__"): "\n" * 149}
    assert list(house.size_of_the_loop(tree(tmp_path, **loop))) == []
    [found] = house.size_of_the_loop(tree(tmp_path, **dict.fromkeys(loop, "\n" * 150)))
    assert "150 lines" in found


def test_names_mentioned_to_a_reader_must_exist(tmp_path: Path) -> None:
    source = tree(tmp_path, a__one="def step(): ...")
    (source / "a" / "__init__.py").write_text('"""Start with `one` or `two`."""')
    page = tmp_path / "page.md"
    page.write_text("`a/one` and `a/one.py` have `step`; `a` and `one` are there, `a/two` is not.")
    assert list(house.missing_modules(source, page)) == [
        "page.md: no `a/two`",
        "a/__init__.py: no `two`",
    ]


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("print('a')", "print"),
        ("tell = print", "print"),
        ("import click\nclick.echo('a')", "click.echo"),
        ("import click\nclick.confirm('a')", "click.confirm"),
        ("from click import secho", "click.secho"),
        ("import sys\nsys.stdout.write('a')", "sys.stdout"),
        ("import sys\nout = sys.stderr", "sys.stderr"),
        ("import logging\nlogging.StreamHandler()", "logging.StreamHandler"),
    ],
)
def test_only_the_output_prints(tmp_path: Path, code: str, name: str) -> None:
    source = tree(tmp_path, core__one=code, cli__output=code, cli__log_output=code)
    (found,) = house.printed_elsewhere(source)
    assert found.startswith(f"core/one.py:{len(code.splitlines())} prints by {name}: use `echo`")


def test_asking_for_a_terminal_is_no_printing(tmp_path: Path) -> None:
    code = "import sys\nif sys.stdout.isatty():\n    '''>>> print(1)'''"
    assert list(house.printed_elsewhere(tree(tmp_path, one=code))) == []
