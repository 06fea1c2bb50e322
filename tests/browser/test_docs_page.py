"""The pages of the APIs in a real browser, which can reach only the server itself."""

import asyncio
import re
import shutil
from pathlib import Path

import pytest

from tests.served import served

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = pytest.mark.skipif(BROWSER is None, reason="Chromium is not installed")


async def dom_of(url: str, profile: Path) -> tuple[str, str]:
    """Return the page after its scripts have run, and the browser's log."""
    flags = (
        "--headless=new",
        "--no-sandbox",  # needs permissions that a container's root lacks
        "--disable-gpu",
        "--enable-logging=stderr",
        "--virtual-time-budget=20000",
        f"--user-data-dir={profile}",
        "--dump-dom",
    )
    process = await asyncio.create_subprocess_exec(
        *(str(BROWSER), *flags, url), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    page, log = await process.communicate()
    return page.decode(), log.decode(errors="replace")


@pytest.mark.parametrize("product", ["", "/wireless"])
async def test_the_docs_page_shows_every_operation_and_loads_nothing_from_elsewhere(
    product: str, tmp_path: Path
) -> None:
    async with served(tmp_path / "data") as dev:
        document = (await dev.get(f"{product}/openapi.json")).body
        page, log = await dom_of(f"{dev.dev['base_url']}{product}/docs", tmp_path / "profile")
    operations = {
        (verb.upper(), path)
        for path, verbs in document["paths"].items()
        for verb in verbs
        if verb in {"get", "post", "put", "delete"}
    }
    blocks = re.findall(r'summary-method">(\w+)</span>.*?data-path="([^"]+)"', page, re.DOTALL)
    assert set(blocks) == operations != set()
    assert "Content Security Policy" not in log
