"""The command line as a whole: quick to start, and one meaning per option."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections import defaultdict
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from bigbench_meta.cli import main

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("numpy", "pandas", "scipy", "pyarrow", "matplotlib", "rich", "git")


@pytest.mark.parametrize(("code", "seconds"), [("import bigbench_meta", 0.3), ("import bigbench_meta.cli", 0.5)])
def test_starting_loads_nothing_heavy(code, seconds):
    """The package imports in 0.3 s of processor time and the commands in 0.5 s, without any of the heavy libraries."""
    ask = f"{code}; import os, sys; print([m for m in {HEAVY!r} if m in sys.modules], sum(os.times()[:2]))"
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    out = subprocess.run([sys.executable, "-c", ask], cwd=ROOT, env=env, check=True, capture_output=True, text=True)
    loaded, taken = out.stdout.rsplit(" ", 1)
    assert loaded == "[]"
    assert float(taken) < seconds


def test_an_option_means_the_same_in_every_command():
    """Options of one name have one help text, but for those that speak of a file or folder, a source or an export."""
    texts = defaultdict(set)
    for command in main.commands.values():
        for option in command.params:
            if isinstance(option, click.Option):
                texts[option.opts[0]].add(option.help)
    different = {name: sorted(map(str, said)) for name, said in texts.items() if len(said) > 1}
    # --format is of the source or of an export; --models holds sizes of models or names them; --task picks one or several.
    assert set(different) == {"--out", "--source", "--format", "--models", "--task"}


def test_the_seed_of_vision_is_the_one_of_the_packaged_results():
    """The number is written twice, so that --help need not load the experiment."""
    from bigbench_meta.experiments.vision import Plan

    option = next(each for each in main.commands["vision"].params if each.name == "seed")
    assert option.default == Plan().seed


def test_commands_stand_in_the_order_of_the_work():
    """The list of --help begins with the command that does everything and goes from source to page."""
    names = main.list_commands(click.Context(main))
    assert names[0] == "run"
    assert [name for name in names if name in {"fetch", "load", "analyze", "report"}] == [
        "fetch",
        "load",
        "analyze",
        "report",
    ]


_IN_A_STRANGE_FOLDER = """
import sys
sys.path.insert(0, sys.argv[1])
from bigbench_meta.cli import main
import multiprocessing
from joblib import Parallel, delayed
@main.command()
def work():
    print(Parallel(n_jobs=2)(delayed(abs)(number) for number in (-1, 2)))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.map(abs, [-3]))
if __name__ == "__main__":
    main(["work"])
"""


def test_workers_import_nothing_from_the_working_folder(tmp_path):
    """Modules of well-known names lie where the user stands: no process that a command starts runs them."""
    mark = tmp_path / "ran"
    for name in ("joblib", "multiprocessing", "numpy", "pickle"):
        (tmp_path / f"{name}.py").write_text(f"open({str(mark)!r}, 'w')")
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, "-P", "-c", _IN_A_STRANGE_FOLDER, str(ROOT)],
        cwd=tmp_path, env=env, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert not mark.exists()
    assert done.stdout.split("\n")[-3:-1] == ["[1, 2]", "[3]"], done.stderr


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/data/x"), "/data/x: no space left where the output goes"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "no space left where the output goes; make room"),
        (
            OSError(errno.EIO, "Input/output error", "/data/x"),
            "/data/x: the device that holds it fails to read or write",
        ),
        (OSError(errno.EMFILE, "Too many open files", "/data/x"), "/data/x: more files are open than this process may"),
        (
            PermissionError(errno.EACCES, "Permission denied", "/data/x"),
            "/data/x: you may not read or write there; change",
        ),
        (OSError(errno.EBADF, "Bad file descriptor"), "stdout is closed, so the result cannot be written to it; leave"),
        (OSError(errno.EAGAIN, "Resource temporarily unavailable"), "no further process or thread can be started; end"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "the memory of this machine is not enough; run again"),
        (
            ImportError("failed to map segment", path="/lib/_fs.cpython-311-x86_64-linux-gnu.so"),
            "a library cannot be loaded (failed to map segment); run again with more memory free",
        ),
        (MemoryError(), "the memory of this machine is not enough"),
        (BrokenProcessPool("one is gone"), "a process that shared the work was killed"),
    ],
)
def test_what_the_machine_refuses_is_one_line(monkeypatch, failure, said):
    """Whatever the system refuses, wherever that is: status 1 and one line that says what, where and what to do."""

    def refused(*_arguments, **_settings):
        raise failure

    monkeypatch.setattr("bigbench_meta.fetcher.fetch", refused)
    result = CliRunner().invoke(main, ["fetch", "somewhere"])
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {said}")
    assert result.stderr.count("\n") == 1


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="HUP is a signal of POSIX")
def test_signals_that_end_a_command(monkeypatch):
    """TERM ends like Ctrl-C within a command, HUP stays ignored as below nohup, and both are as before after it."""
    seen = []

    def look():
        seen.extend([signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGHUP)])
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setitem(main.commands, "look", click.Command("look", callback=look))
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        answer = CliRunner().invoke(main, ["look"])
        assert (answer.exit_code, answer.output) == (1, "\nAborted!\n")
        assert seen == [signal.default_int_handler, signal.SIG_IGN]
        assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)] == [
            signal.SIG_DFL,
            signal.SIG_IGN,
        ]
    finally:
        signal.signal(signal.SIGHUP, before)
