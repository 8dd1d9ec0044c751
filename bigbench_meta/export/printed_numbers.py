"""Numbers for the eye: as many digits as asked for, the same decimals down a column, undefined as a dash.

A column is laid out once for all its cells, so that decimal points stand under each other. Its size decides the decimals: with
three digits a column whose median is 12.3 has one decimal; shares and p-values have as many decimals as digits. What rounds to zero without being zero is
shown by its bound (``<0.001``), so that no p-value reads as 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

DIGITS = 3
DASH = "\u2013"
_MOST_DECIMALS = 6
# From this size on, counts such as parameters are written with a power of ten.
_LARGE = 1e6


@dataclass(frozen=True)
class Layout:
    """How the numbers of a column are written.

    Attributes
    ----------
    decimals
        Digits after the point.
    scientific
        Whether numbers are written as ``1.28e9``.
    """

    decimals: int
    scientific: bool = False


def is_number(column: pd.Series) -> bool:
    """Whether a column holds numbers, nullable ones too; truth values are words."""
    import pandas as pd

    return pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype)


def layout_of(column: pd.Series, *, digits: int = DIGITS) -> Layout:
    """Return how the numbers of a column are written with ``digits`` significant digits in its middle.

    Examples
    --------
    >>> import pandas as pd
    >>> layout_of(pd.Series([0.5, 12.3, 99.0])), layout_of(pd.Series([1, 200]))
    (Layout(decimals=1, scientific=False), Layout(decimals=0, scientific=False))
    """
    import numpy as np

    values = column.dropna().to_numpy(np.float64)
    sizes = np.abs(values[np.isfinite(values) & (values != 0)])
    if not len(sizes):
        return Layout(0)
    if sizes.max() >= _LARGE and np.median(sizes) >= _LARGE / 10:
        return Layout(digits - 1, scientific=True)
    if bool((values[np.isfinite(values)] % 1 == 0).all()):
        return Layout(0)
    middle = math.floor(math.log10(float(np.median(sizes))))
    most = digits if sizes.max() <= 1 else _MOST_DECIMALS
    return Layout(min(max(digits - 1 - middle, 0), most))


def number(value: float, layout: Layout) -> str:
    """Return one number as text: ``12.3``, ``<0.001``, ``1.28e9``, infinity in words.

    Examples
    --------
    >>> number(0.0004, Layout(3)), number(-0.0004, Layout(3)), number(0.0, Layout(3))
    ('<0.001', '>-0.001', '0.000')
    """
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if layout.scientific:
        mantissa, exponent = f"{value:.{layout.decimals}e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    text = f"{value:.{layout.decimals}f}"
    if value and not float(text):
        bound = f"{10**-layout.decimals:.{layout.decimals}f}"
        return f"<{bound}" if value > 0 else f">-{bound}"
    return text


def word(cell: object) -> str:
    """Return one cell that is no number: undefined as a dash, truth in words."""
    import numpy as np
    import pandas as pd

    if cell is None or cell is pd.NA or (isinstance(cell, float) and math.isnan(cell)):
        return DASH
    if isinstance(cell, bool | np.bool_):
        return "yes" if cell else "no"
    return str(cell)


def shown(cell: object) -> str:
    """One cell by itself: at most four significant digits, undefined as a dash."""
    return f"{cell:.4g}" if isinstance(cell, float) and not math.isnan(cell) else word(cell)


def cells(column: pd.Series, *, digits: int = DIGITS) -> list[str]:
    """Return every cell of a column as text, numbers laid out together."""
    import pandas as pd

    if not is_number(column):
        return [word(cell) for cell in column]
    layout = layout_of(column, digits=digits)
    return [DASH if pd.isna(cell) else number(float(cell), layout) for cell in column]
