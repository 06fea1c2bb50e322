"""Builds the documentation website: `python -m docs_build.site [FOLDER]`, `make docs`.

It copies the pages of docs/, replaces markers with recordings of real commands and pictures of real
pages, and zensical makes the website from the copy. Nothing comes from the network, and a broken
link or anchor fails the build.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from docs_build.console_pictures import PICTURES, take_pictures
from docs_build.runs import Recording, recordings

ROOT: Final = Path(__file__).parents[1]
SITE: Final = ROOT / "build" / "site"

HERE: Final = Path(__file__).parent
_EXAMPLES: Final = {".md": "", ".py": ".txt", ".toml": ".txt"}
"""The suffix added to the names of example files, by their own suffix.

Browsers show text files, but download programs; and a package with the website has no additional
programs.
"""
SCREENSHOTS: Final[Mapping[str, tuple[str, str]]] = {
    "api-page": (
        "api-page.png",
        "The page of the API in a browser: its operations, and the form of one",
    ),
    **{name: (f"{name}.webp", picture.text) for name, picture in PICTURES.items()},
}
"""The file of each screenshot, and its text for people who can't see it."""
_PLACE: Final = re.compile(r"^<!-- (picture|cast|screenshot): ([\w-]+) -->$", re.MULTILINE)


def build(site: Path = SITE) -> None:
    """Build the website in a folder, replacing its content.

    Raises RuntimeError if zensical finds a mistake, such as a broken link.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        pages = folder / "pages"
        _copy_pages(pages)
        pictures = pages / "pictures"
        with ThreadPoolExecutor(1) as beside:
            taken = beside.submit(take_pictures, pictures)
            recorded = recordings(pictures / SCREENSHOTS["api-page"][0])
            taken.result()
        for name, recording in recorded.items():
            (pictures / f"{name}.cast").write_text(recording.as_asciicast(), "utf-8")
        for page in pages.rglob("*.md"):
            text = page.read_text("utf-8")
            depth = "../" * (len(page.relative_to(pages).parts) - 1)
            page.write_text(_with_recordings(text, recorded, pictures, depth), "utf-8")
        shutil.copy(HERE / "zensical.toml", folder)
        run_zensical(folder)
        shutil.rmtree(site, ignore_errors=True)
        site.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(folder / "site", site)


def _copy_pages(pages: Path) -> None:
    """Copy the documents, and the files in other folders to which they link."""
    shutil.copytree(ROOT / "docs", pages)
    for path in sorted((ROOT / "examples").rglob("*")):
        if path.suffix in _EXAMPLES:
            copy = pages / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy.with_name(path.name + _EXAMPLES[path.suffix]))
    for page in pages.rglob("*.md"):
        text = page.read_text("utf-8")
        text = re.sub(r"\]\(((?:\.\./)*)\.\./examples/", r"](\1examples/", text)
        page.write_text(re.sub(r"(\]\([^():#]+\.(?:py|toml))\)", r"\1.txt)", text), "utf-8")
    shutil.move(pages / "ringback.toml", pages / "ringback.toml.txt")
    shutil.copytree(HERE / "assets", pages / "assets")
    (pages / "changelog.md").write_text(_changelog(), "utf-8")
    decisions = pages / "decisions" / "README.md"
    decisions.write_text(decisions.read_text("utf-8") + _list_of_decisions(), "utf-8")


def _changelog() -> str:
    """Return the changelog, with the unreleased changes at its top."""
    command = ("towncrier", "build", "--draft", "--version", "Not released yet", "--date", "")
    program = Path(sys.executable).with_name(command[0])
    draft = subprocess.run(
        (program, *command[1:]), cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    news = draft[draft.index("## Not released yet") :].replace(
        "Not released yet ()", "Not released yet"
    )
    head, _, released = (ROOT / "CHANGELOG.md").read_text("utf-8").partition("<!--")
    intro = head.partition(" Changes not yet released")[0]
    text = f"{intro}\n\n{news}\n{released.partition('-->')[2]}"
    return text.replace("](docs/", "](")


def _list_of_decisions() -> str:
    lines = [""]
    for path in sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md")):
        title = path.read_text("utf-8").partition("\n")[0].removeprefix("# ")
        lines.append(f"- [{title}]({path.name})")
    return "\n".join(lines) + "\n"


def _with_recordings(
    text: str, recorded: dict[str, Recording], pictures: Path, to_root: str
) -> str:
    """Return a page with each marker replaced with its recording, or removed if there is none."""

    def shown(place: re.Match[str]) -> str:
        kind, name = place.groups()
        if kind == "screenshot":
            file, words = SCREENSHOTS[name]
            if not (pictures / file).exists():
                return ""
            at = f"{to_root}pictures/{file}"
            return f"[![{words}]({at}){{ loading=lazy }}]({at})"  # a click shows its full size
        html = recorded[name].as_html(plays=kind == "cast")
        if kind == "picture":
            return html
        return f"{html}\n\n[The recording as an asciicast]({to_root}pictures/{name}.cast)"

    return _PLACE.sub(shown, text)


def run_zensical(folder: Path) -> None:
    """Build the site of a folder that has a zensical.toml; raises RuntimeError for a mistake."""
    program = Path(sys.executable).with_name("zensical")
    built = subprocess.run(
        (program, "build", "--strict"), cwd=folder, capture_output=True, text=True, check=False
    )
    if built.returncode != 0:
        said = re.sub(r"\x1b\[[0-9;]*m", "", built.stdout + built.stderr)
        raise RuntimeError(said.partition("Traceback")[0])


def main(*arguments: str) -> int:
    """Build the website, and print its place, or the mistakes."""
    site = Path(arguments[0]).resolve() if arguments else SITE
    try:
        build(site)
    except RuntimeError as mistake:
        print(mistake, file=sys.stderr)
        return 1
    print(f"built {site}/index.html")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
