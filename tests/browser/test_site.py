"""The site of the documents: it builds, leads nowhere wrong, and every reader can read it."""

import fcntl
import html
import json
import os
import re
import threading
import tomllib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from docs_build import site as builder
from docs_build.chromium import PROGRAM, Browser, a_browser
from docs_build.console_pictures import PICTURES

AXE = (Path(__file__).parent / "axe.min.js").read_text("utf-8")
NARROW = 360
KINDS_OF_PAGES = [
    "index.html",  # with a cast
    "concepts.html",  # with pictures
    "console.html",  # with screenshots
    "reference/commands/callbacks.html",  # with a terminal
    "reference/settings.html",  # with the widest table
    "migrate.html",  # with prompts
]
STOP_MOVING = """{
  const style = document.createElement("style");
  style.textContent = "* { transition: none !important; animation: none !important }";
  document.head.append(style);
}"""
SETTLED = "new Promise(done => setTimeout(done, 100))"

needs_a_browser = pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium here")


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base class has it
        pass


@contextmanager
def served(folder: Path) -> Generator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder))
    threading.Thread(target=server.serve_forever).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site once, for all of the suite's processes: the first one that comes does it."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with (folder / "site.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "site").exists():
            builder.build(folder / "site")
    return folder / "site"


def faults_of(browser: Browser, base: str, page: str) -> Iterator[str]:
    """Yield what is wrong with a page, in light and dark colours, wide and narrow."""
    browser.requests.clear()
    browser.errors.clear()
    browser.prefer("light")
    browser.resize(1280)
    browser.open(f"{base}/{page}")
    yield from (f"{page}, {fault}" for fault in unreadable(browser))
    browser.resize(NARROW)
    browser.run(SETTLED)
    if (width := browser.run("document.documentElement.scrollWidth")) > NARROW:
        yield f"{page}: is {width} pixels wide"
    yield from (f"{page}: {error}" for error in browser.errors)
    for url in browser.requests:
        if not url.startswith((f"{base}/", "data:", "blob:")):
            yield f"{page}: asks for {url}"


def unreadable(browser: Browser) -> Iterator[str]:
    """Yield what keeps some people from reading the open page, in light and dark colours."""
    browser.run(f"{AXE};{STOP_MOVING}")
    for scheme, rules in (("light", ""), ("dark", ', runOnly: ["color-contrast"]')):
        browser.prefer(scheme)
        browser.run(SETTLED)
        found = browser.run(
            f"axe.run(document, {{resultTypes: ['violations']{rules}}}).then(result =>"
            " result.violations.map(each => each.id + ': ' + each.nodes[0].html))"
        )
        yield from (f"{scheme}: {each}" for each in found)


def faults_of_pages(site: Path, pages: list[str], profile: Path) -> list[str]:
    with served(site) as base, a_browser(profile) as browser:
        return [fault for page in pages for fault in faults_of(browser, base, page)]


def test_the_site_has_its_recordings_and_names_nothing_from_elsewhere(site: Path) -> None:
    pages = {str(path.relative_to(site)): path.read_text("utf-8") for path in site.rglob("*.html")}
    assert set(KINDS_OF_PAGES) <= set(pages)
    assert "data-at=" in pages["index.html"]
    assert "ringback callbacks list" in pages["reference/commands/callbacks.html"]
    assert (site / "pictures" / "first-minute.cast").read_text("utf-8").startswith('{"version": 2')
    loaded = re.compile(
        r'<(?:script|img|iframe|source)[^>]* src="([^"]*)"|<link[^>]* href="([^"]*)"'
    )
    for name, text in pages.items():
        assert not re.search("<!-- (picture|cast|screenshot)", text), name
        for urls in loaded.findall(text):
            assert not re.match("(https?:)?//", "".join(urls)), (name, urls)


@needs_a_browser
def test_the_site_has_small_pictures_of_the_console(site: Path) -> None:
    page = (site / "console.html").read_text("utf-8")
    for name, picture in PICTURES.items():
        assert f'src="pictures/{name}.webp"' in page
        assert picture.text in html.unescape(page)
        assert 5_000 < (site / "pictures" / f"{name}.webp").stat().st_size < 150_000, name


def test_each_page_is_in_the_contents() -> None:
    with (builder.HERE / "zensical.toml").open("rb") as file:
        contents = json.dumps(tomllib.load(file)["project"]["nav"])
    docs = builder.ROOT / "docs"
    pages = {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")}
    decisions = {page for page in pages if re.match(r"decisions/\d", page)}  # by their own list
    assert {page for page in pages - decisions if f'"{page}"' not in contents} == set()


@needs_a_browser
def test_pages_of_every_kind_are_readable_by_everybody(site: Path, tmp_path: Path) -> None:
    assert faults_of_pages(site, KINDS_OF_PAGES, tmp_path) == []


@needs_a_browser
@pytest.mark.long
@pytest.mark.timeout(900)
def test_all_pages_are_readable_by_everybody(site: Path, tmp_path: Path) -> None:
    pages = sorted(str(path.relative_to(site)) for path in site.rglob("*.html"))
    assert len(pages) > 60
    assert faults_of_pages(site, pages, tmp_path) == []


@needs_a_browser
def test_a_cast_plays_and_what_is_copied_can_be_pasted(site: Path, tmp_path: Path) -> None:
    hidden = "document.querySelectorAll('.rb-cast [data-at][hidden]').length"
    prompts = r"$ one \\\n  two\n1\n$ cat <<'END'\n$ x\nEND\n2\n"
    with served(site) as base, a_browser(tmp_path) as browser:
        browser.open(f"{base}/index.html")
        assert browser.run(hidden) == 0
        browser.run("document.querySelector('.rb-cast button').click()")
        assert browser.run(hidden) > 0
        browser.run("document.querySelector('.rb-cast button').click()")
        assert browser.run(hidden) == 0
        assert browser.run(f'pasteable("{prompts}")') == "one \\\n  two\ncat <<'END'\n$ x\nEND\n"
        assert browser.run("pasteable('make run\\n')") == "make run\n"


SEARCH = """(async () => {
  document.querySelector(".md-search__button").click();
  const inside = [...document.querySelectorAll("*")].find(each => each.shadowRoot).shadowRoot;
  const input = await appears("input");
  input.value = "idempotency";
  input.dispatchEvent(new Event("input", { bubbles: true }));
  return (await appears("a[href]")).href;

  async function appears(selector) {
    for (let i = 0; i < 400; i++) {
      const found = inside.querySelector(selector);
      if (found) return found;
      await new Promise(done => setTimeout(done, 25));
    }
    throw new Error(`there is no ${selector}`);
  }
})()"""


@needs_a_browser
def test_the_search_works_from_the_disk(site: Path, tmp_path: Path) -> None:
    with a_browser(tmp_path) as browser:
        browser.open((site / "index.html").as_uri())
        assert browser.run(SEARCH).startswith(site.as_uri())


@pytest.mark.parametrize("link", ["nowhere.md", "index.md#nowhere"])
def test_a_link_that_leads_nowhere_fails_the_build(link: str, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "index.md").write_text(f"# Start\n\n[Somewhere]({link})\n", "utf-8")
    (tmp_path / "zensical.toml").write_text(
        '[project]\nsite_name = "a"\ndocs_dir = "docs"\nsite_dir = "site"\n', "utf-8"
    )
    with pytest.raises(RuntimeError, match=r"index\.md:3"):
        builder.run_zensical(tmp_path)
