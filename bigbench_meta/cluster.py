"""Run jobs on the workers of a Dask cluster instead of on this machine."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from bigbench_meta.errors import SourceError, missing_extra

if TYPE_CHECKING:
    from collections.abc import Iterator

# A scheduler that does not answer by then is not there.
_TIMEOUT_SECONDS = 20


@contextmanager
def on_cluster(address: str | None) -> Iterator[None]:
    """Run the jobs of `bigbench_meta.parallel` on the cluster of the Dask scheduler at ``address`` inside this block.

    Parameters
    ----------
    address : str or None
        Such as ``tcp://host:8786``; None changes nothing.

    Raises
    ------
    MissingExtraError
        If the package ``distributed`` is not installed.
    SourceError
        If no scheduler answers.
    """
    if address is None:
        yield
        return
    try:
        from distributed import Client
    except ImportError as err:
        raise missing_extra("a scheduler needs a package that is not installed", "distributed") from err
    from joblib import parallel_config

    try:
        client = Client(address, timeout=_TIMEOUT_SECONDS)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as err:
        raise SourceError(
            f"no Dask scheduler at {address}: {err}; expected an address such as tcp://host:8786 that is running"
        ) from err
    with client, parallel_config(backend="dask", client=client):
        yield
