r"""Tables for papers and notes: LaTeX with booktabs, and Markdown. Every cell is escaped."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

# Longer tables must break across pages.
_LONGEST_TABULAR = 45

_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "%": r"\%", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    '"': r"\textquotedbl{}", "'": "'", "`": r"\textasciigrave{}", "|": r"\textbar{}", "-": "{-}",
    "[": "{[}", "*": "{*}",  # at the start of a row these would belong to the end of the row before
}  # fmt: skip

# Nothing to see, or the direction of what follows: controls, line ends, marks of direction, what is no character at all.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufdd0-\ufdef\ufeff\ufffe\uffff\ud800-\udfff]"
)

# A file that begins a document only if none has begun: it compiles as it is and can be \input into a paper.
_HEAD = r"""% Compiles as it is; or \input it in a paper that loads booktabs and longtable.
\expandafter\ifx\csname @twoclasseserror\endcsname\documentclass
\else
  \documentclass[a4paper]{article}
  \usepackage[T1]{fontenc}
  \usepackage{textcomp,booktabs,longtable}
  \usepackage[landscape,margin=1cm]{geometry}
  \begin{document}\scriptsize
  \def\bigbenchmetaend{\end{document}}
\fi
\providecommand{\bigbenchmetaend}{}
"""


def latex_text(frame: pd.DataFrame) -> str:
    r"""LaTeX of a table with booktabs rules; it compiles as it is and can be ``\input``.

    Numbers have at most four significant digits, undefined is a dash. Characters outside Latin-1, which the usual
    engines cannot print, become their code points.
    """
    align = "".join("r" if frame[column].dtype.kind in "fiu" else "l" for column in frame.columns)
    head = " & ".join(escape_latex(str(column)) for column in frame.columns) + r" \\"
    rows = [" & ".join(_latex_cell(cell) for cell in row) + r" \\" for row in _rows(frame)]
    if len(rows) <= _LONGEST_TABULAR:
        body = [
            rf"\begin{{tabular}}{{{align}}}",
            r"\toprule",
            head,
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
        ]
    else:
        body = [
            rf"\begin{{longtable}}{{{align}}}", r"\toprule", head, r"\midrule", r"\endhead", r"\bottomrule", r"\endfoot",
            *rows, r"\end{longtable}",
        ]  # fmt: skip
    return _HEAD + "\n".join(body) + "\n" + r"\bigbenchmetaend" + "\n"


def markdown_text(frame: pd.DataFrame) -> str:
    """Markdown (GitHub's tables) of a table; pipes, markup and line ends in names are escaped."""
    columns = [escape_markdown(str(column)) for column in frame.columns]
    marks = ["---:" if frame[column].dtype.kind in "fiu" else "---" for column in frame.columns]
    rows = [[escape_markdown(shown(cell)) for cell in row] for row in _rows(frame)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in [columns, marks, *rows])


def _latex_cell(cell: object) -> str:
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        return shown(cell).replace("-", "$-$").replace("\u2013", "--")
    return escape_latex(shown(cell))


def escape_latex(text: str) -> str:
    r"""``text`` with every character that LaTeX would act on replaced; line ends become spaces."""
    flat = re.sub(r"\s+", " ", text)
    return "".join(_latex_character(character) for character in flat)


def _latex_character(character: str) -> str:
    if character in _LATEX:
        return _LATEX[character]
    code = ord(character)
    if 0x20 <= code < 0x7F or 0xC0 <= code <= 0xFF:
        return character
    if character == "\u2013":
        return "--"
    return rf"\texttt{{[U+{code:04X}]}}"


def visible(text: str) -> str:
    r"""``text`` for a document that is read by eye: what cannot be seen, or turns what follows around, becomes a mark.

    Examples
    --------
    >>> visible("a\x00b\u202e")
    'a\ufffdb\ufffd'
    """
    return _UNSEEN.sub("\ufffd", text)


def escape_markdown(text: str) -> str:
    """``text`` with Markdown's and HTML's special characters replaced; line ends become spaces, what is unseen a mark."""
    flat = visible(re.sub(r"\s+", " ", text))
    flat = flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    flat = re.sub(r"([\\`*_{}\[\]|~#!$@])", r"\\\1", flat)
    return re.sub(r":(?=//)|(?<=www)\.", r"\\\g<0>", flat, flags=re.IGNORECASE)  # bare addresses become links, too


def shown(cell: object) -> str:
    """One cell for the eye: at most four significant digits, undefined as a dash."""
    import pandas as pd

    if cell is None or cell is pd.NA or (isinstance(cell, float) and math.isnan(cell)):
        return "\u2013"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)


def _rows(frame: pd.DataFrame) -> list[list[object]]:
    return [
        [cell.item() if hasattr(cell, "item") else cell for cell in row]
        for row in frame.itertuples(index=False, name=None)
    ]
