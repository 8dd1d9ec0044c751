"""Where randomness comes in: a generator, or the seed of one."""

from __future__ import annotations

import numpy as np

from bigbench_meta.errors import AnalysisError


def as_generator(rng: object) -> np.random.Generator:
    """Return the generator that a caller gave, or a new one from the seed that they gave.

    Parameters
    ----------
    rng
        A `numpy.random.Generator`, which is used and moved on, or a seed: an integer, 0 or above. The same seed gives the
        same numbers as ``numpy.random.default_rng(seed)``.

    Raises
    ------
    AnalysisError
        If it is anything else, None included: without a seed no result could be computed again.

    Examples
    --------
    >>> int(as_generator(7).integers(100)) == int(np.random.default_rng(7).integers(100))
    True
    """
    if isinstance(rng, np.random.Generator):
        return rng
    if isinstance(rng, int | np.integer) and not isinstance(rng, bool) and rng >= 0:
        return np.random.default_rng(int(rng))
    raise AnalysisError(f"rng={rng!r}: expected a seed, an integer such as rng=0, or a numpy.random.Generator")
