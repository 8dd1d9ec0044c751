"""The command that holds all others, and how every one of them fails."""

from __future__ import annotations

import errno
import logging
import os
import signal
import threading
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from importlib.machinery import EXTENSION_SUFFIXES
from typing import TYPE_CHECKING, Any

import click

from bigbench_meta import __version__
from bigbench_meta.cli.streams import open_streams
from bigbench_meta.errors import BigbenchMetaError, printable
from bigbench_meta.parallel import safe_start, search_less_for_garbage

if TYPE_CHECKING:
    from collections.abc import Iterator

_NO_ROOM = "no space left where the output goes; make room or send it elsewhere"
# What the system can refuse anywhere, in the words of somebody who has to do something about it.
_REFUSALS = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), _NO_ROOM),
    **dict.fromkeys(
        (errno.EACCES, errno.EPERM, errno.EROFS),
        "you may not read or write there; change its permissions, or choose another place",
    ),
    errno.EBADF: "stdout is closed, so the result cannot be written to it; leave it open or send it to a file",
    errno.EAGAIN: "no further process or thread can be started; end some, or raise the limit (ulimit -u), and run again",
    errno.ENOMEM: "the memory of this machine is not enough; run again with more of it free",
    errno.EMFILE: "more files are open than this process may open; raise the limit (ulimit -n) and run again",
    errno.EIO: "the device that holds it fails to read or write; look to the device, then run again",
}


class _Group(click.Group):
    """Commands in the order they were added; an expected failure of any becomes one line on stderr and exit status 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's own signature
        return list(self.commands)

    def make_context(self, *arguments: Any, **settings: Any) -> click.Context:  # noqa: ANN401 - click's own signature
        open_streams()
        with _in_one_line():  # --help and --version write here
            return super().make_context(*arguments, **settings)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own signature
        with _in_one_line():
            return super().invoke(ctx)


@contextmanager
def _in_one_line() -> Iterator[None]:
    """Turn what is expected to fail, and what the machine refuses, into one line with the cure."""
    try:
        yield
    except BigbenchMetaError as err:
        raise click.ClickException(" ".join(str(err).split())) from err
    except OSError as err:
        if err.errno == errno.EPIPE:  # whoever reads the output has gone: click's to handle
            raise
        where = f"{err.filename}: " if err.filename is not None else ""
        raise click.ClickException(f"{where}{_REFUSALS.get(err.errno or 0, err.strerror or str(err))}") from err
    except MemoryError as err:
        raise click.ClickException(
            "the memory of this machine is not enough; nothing was left half-written: run again with more of it free"
        ) from err
    except ImportError as err:
        if not str(err.path).endswith(tuple(EXTENSION_SUFFIXES)):
            raise  # a fault of ours
        raise click.ClickException(
            f"a library cannot be loaded ({err}); run again with more memory free, else install the package again"
        ) from err
    except BrokenExecutor as err:
        raise click.ClickException(
            "a process that shared the work was killed, perhaps for want of memory; nothing was left half-written: "
            "run again, with fewer processes if they need more memory than there is"
        ) from err


@contextmanager
def _ended_like_ctrl_c() -> Iterator[None]:
    """Within this block whoever ends this command by TERM or HUP ends it as Ctrl-C does: what it has begun is cleared away.

    A signal that is ignored, as HUP is below ``nohup``, stays so.
    """
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]  # Windows has no HUP
    before = {}
    if threading.current_thread() is threading.main_thread():  # no other may
        before = {number: signal.getsignal(number) for number in numbers}
    for number, handler in before.items():
        if handler == signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _OneLine(logging.Formatter):
    """A message on one line, whatever the names in it hold."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(" ".join(super().format(record).split()))


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="bigbench-meta")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Honest analysis of emergent abilities on the public BIG-Bench results."""
    search_less_for_garbage()
    ctx.with_resource(_ended_like_ctrl_c())
    ctx.with_resource(safe_start())
    # There is a process for every core, and products are small: threads of linear algebra would only wait for each other.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    talk = logging.StreamHandler()  # stderr
    talk.setFormatter(_OneLine("%(message)s"))
    logger = logging.getLogger("bigbench_meta")
    logger.handlers[:] = [talk]
    logger.setLevel(logging.INFO)
