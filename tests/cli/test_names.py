"""Names from files that somebody else wrote, on a terminal: shown, never obeyed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from score_files import document, entry, model_named, put

from bigbench_meta.cli import main
from bigbench_meta.errors import LoadError
from bigbench_meta.loader import load_results

ROOT = Path(__file__).resolve().parents[2]
# Sets the title of a terminal, clears it, turns the direction of writing, begins a line of its own, rings.
EVIL = "a\x1b]0;title\x07\x1b[2J\u202eb\r\nError: c\x9bd"


@pytest.fixture
def root(tmp_path) -> Path:
    """A repository whose every name is hostile."""
    name = json.dumps(EVIL)[1:-1]
    text = document(
        entry(EVIL, preferred=name, **{name: "1", "bleu": '"x"'}), task=name, model=model_named(name, family=name)
    )
    put(tmp_path / "root", text)
    return tmp_path / "root"


def obeyed(text: str) -> set[str]:
    """The characters of a text that a terminal would obey, line ends of its own aside."""
    return {character for character in text if not character.isprintable()} - {"\n"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("load", "--strict"),
        ("load", "--task", "navigat"),
        ("load", "--family", "none"),
        ("load", "--metric", "none"),
        ("score",),
        ("analyze", "--draws", "19"),
    ],
    ids=" ".join,
)
def test_talk_shows_names_and_obeys_none(root, arguments):
    """Errors, notes and findings that quote hostile names are plain lines, none of which is made by a name."""
    done = CliRunner().invoke(main, [arguments[0], str(root), *arguments[1:]])
    assert not obeyed(done.stderr)
    assert "\nError: c" not in done.stderr


def test_columns_of_a_table_in_a_note(tmp_path):
    """The names of columns that mean nothing here are listed in a note, without their control characters."""
    (tmp_path / "own.csv").write_text(
        f'task,metric,family,model,scale,score,"{EVIL}"\nt,bleu,F,a,1000,0.5,x\n', encoding="utf-8", newline=""
    )
    done = CliRunner().invoke(main, ["load", str(tmp_path / "own.csv")])
    assert "are ignored: a\ufffd]0;title" in done.stderr
    assert not obeyed(done.stderr)


def test_errors_of_the_package_show_names_too(root):
    """An error that is caught, or printed with its traceback, is as harmless; very long names are cut."""
    with pytest.raises(LoadError) as refused:
        load_results(root, families=["none"])
    assert "a\ufffd]0;title" in str(refused.value)
    assert not obeyed(str(refused.value))
    put(root, document(model=model_named("m", family="f" * 100_000)), name="scores_z.json")
    with pytest.raises(LoadError) as refused:
        load_results(root, families=["none"])
    assert len(str(refused.value)) < 500


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("terminal", [True, False])
def test_a_table_on_a_terminal(root, terminal):
    """The CSV of hostile names is exact for a file, and harmless where stdout is a terminal."""
    import pty

    reading, writing = pty.openpty() if terminal else os.pipe()
    subprocess.run(
        [sys.executable, "-m", "bigbench_meta", "load", str(root)],
        cwd=ROOT, stdout=writing, stderr=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    os.close(writing)
    content = os.read(reading, 100_000).decode("utf-8")
    os.close(reading)
    assert content.startswith('"task","subtask"')
    assert bool(obeyed(content) - {"\r"}) is not terminal
