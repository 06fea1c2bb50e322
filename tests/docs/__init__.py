"""Tests of the documents: what they show is run, and compared with the code."""

from pathlib import Path
from typing import Final

REFERENCE: Final = "\n".join(
    page.read_text("utf-8")
    for page in sorted((Path(__file__).parents[2] / "docs/reference").rglob("*.md"))
)
"""All pages of the reference, as one text."""
