"""SECURITY.md: one page, and every promise names files of tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")


def test_every_promise_names_tests():
    """Each row of the table ends in files that hold tests."""
    rows = [line for line in PAGE.splitlines() if line.startswith("| **")]
    assert len(rows) >= 8
    for row in rows:
        named = re.findall(r"`(tests/[^`]+)`", row.rsplit("|", 2)[1])
        assert named, row
        for file in named:
            assert "def test_" in (ROOT / file).read_text(encoding="utf-8"), file


def test_it_is_one_page():
    """About 60 lines of 120 characters: what is read before a tool is trusted."""
    assert len(PAGE) < 60 * 120
