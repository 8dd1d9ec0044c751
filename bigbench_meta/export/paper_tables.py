r"""Tables for papers and notes: LaTeX with booktabs and siunitx, and Markdown. Every cell is escaped.

A table is at most as wide as the text. Its numbers take the room they need; texts share what is left, and those that do not
fit are broken into lines. Widths are estimated from tables of characters, on the wide side, for the text width of LaTeX's
article; in a paper they follow its ``\linewidth``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from bigbench_meta.errors import OutputError
from bigbench_meta.export.presets import PrintedTable, headings
from bigbench_meta.export.printed_numbers import DASH, DIGITS, cells, is_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

# Longer tables must break across pages.
_LONGEST_TABULAR = 40
# The text width of article on A4 at 10 points, and the sizes that a table may be set in.
_LINE_POINTS = 345.0
_SIZES = (("small", 9.0), ("footnotesize", 8.0), ("scriptsize", 7.0))
_SEPARATION_POINTS = 6.0  # between two columns
# Narrower columns of broken text cannot be read.
_LEAST_EMS = 5.0
# Widths of Computer Modern's characters in ems, rounded up: most letters, and those that differ.
_EM, _EMS = 0.56, {
    **dict.fromkeys("0123456789", 0.52), **dict.fromkeys("ijl.,:;'|!()[]I ", 0.4), **dict.fromkeys("ftrs-_/", 0.42),
    **dict.fromkeys("mM%", 0.95), **dict.fromkeys("wW@&+<>=", 1.06), **dict.fromkeys("ABCDEFGHJKLNOPQRSTUVXYZ", 0.8),
    "\u2013": 0.5,
}  # fmt: skip
_CODE_POINT_EMS = 4.8  # a character that is spelled out, as [U+4E2D]
_BREAK = r"\allowbreak{}"
_UNBROKEN_EMS = 3.5  # a word without any sign may be broken after these
_LONG_HEADING = 8  # characters; longer ones over numbers stand on several lines

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
_HEAD = r"""% Compiles as it is; or \input it in a paper that loads array, booktabs, longtable, siunitx and textcomp.
\expandafter\ifx\csname @twoclasseserror\endcsname\documentclass
\else
  \documentclass[a4paper]{article}
  \usepackage[T1]{fontenc}
  \usepackage{array,booktabs,longtable,siunitx,textcomp}
  \begin{document}
  \def\bigbenchmetaend{\end{document}}
\fi
\providecommand{\bigbenchmetaend}{}
"""


class _Column(NamedTuple):
    """A column as it is set: its texts, whether they are numbers, and the ems it needs unbroken."""

    heading: str
    texts: list[str]
    is_number: bool
    ems: float


def as_printed(table: PrintedTable | pd.DataFrame) -> PrintedTable:
    """A table with its headings; those of a bare frame are made from the names of its columns."""
    if isinstance(table, PrintedTable):
        return table
    return PrintedTable(table, headings([str(name) for name in table.columns]))


def latex_text(table: PrintedTable | pd.DataFrame, *, digits: int = DIGITS) -> str:
    r"""LaTeX of a table with booktabs rules and siunitx columns; it compiles as it is and can be ``\input``.

    Characters outside Latin-1, which the usual engines cannot print, become their code points.

    Raises
    ------
    OutputError
        If its columns cannot stand beside each other in the width of a text.
    """
    printed = as_printed(table)
    columns = _columns(printed, digits=digits)
    size, broken = _fitted(columns)
    spec = "@{}" + "".join(_specs(columns, broken)) + "@{}"
    head = " & ".join(_heading(column) for column in columns) + r" \\"
    cells_of_rows = zip(
        *([_cell(text, column, breaks=at in broken) for text in column.texts] for at, column in enumerate(columns)),
        strict=True,
    )
    rows = [" & ".join(row) + r" \\" for row in cells_of_rows]
    caption = rf"\caption{{{escape_latex(printed.caption)}}}" if printed.caption else ""
    label = rf"\label{{{printed.label}}}" if printed.label and printed.caption else ""
    notes = " ".join(escape_latex(note) for note in printed.notes)
    below = [rf"\par\smallskip{{\footnotesize\raggedright {notes}\par}}"] if notes else []
    if len(rows) <= _LONGEST_TABULAR:
        body = [
            rf"\begin{{tabular}}{{{spec}}}",
            r"\toprule",
            head,
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
        ]
        body = [*body, *below]
        if caption:
            body = [
                r"\begin{table}[htbp]",
                r"\centering",
                rf"{caption}{label}",
                rf"\{size}",
                *_TIGHT,
                *body,
                r"\end{table}",
            ]
        else:
            body = [r"\par\begingroup\noindent", rf"\{size}", *_TIGHT, *body, r"\par\endgroup"]
    else:
        top = [rf"{caption}{label}\\"] if caption else []
        body = [
            r"\begingroup", rf"\{size}", *_TIGHT, rf"\begin{{longtable}}{{{spec}}}", *top, r"\toprule", head, r"\midrule",
            r"\endhead", r"\bottomrule", r"\endfoot", *rows, r"\end{longtable}", *below, r"\endgroup",
        ]  # fmt: skip
    return _HEAD + "\n".join(body) + "\n" + r"\bigbenchmetaend" + "\n"


_TIGHT = (rf"\setlength{{\tabcolsep}}{{{_SEPARATION_POINTS / 2:g}pt}}",)


def _columns(printed: PrintedTable, *, digits: int) -> list[_Column]:
    found = []
    for heading, name in zip(printed.headings, printed.frame.columns, strict=True):
        column = printed.frame[name]
        texts = cells(column, digits=digits)
        number = is_number(column)
        widest = max((_ems(text) for text in texts), default=0.0)
        if number:
            before, after, exponent = _parts(texts)
            widest = 0.52 * (before + after) + 1.0 + (2.4 + 0.5 * exponent if exponent else 0.0)
            widest += 0.8 * any(text.startswith(("-", ">-")) for text in texts) + 1.0 * _compares(texts)
        lines = _stacked(heading) if number else [heading]
        found.append(_Column(heading, texts, number, max(widest, *map(_ems, lines))))
    return found


def _fitted(columns: Sequence[_Column]) -> tuple[str, dict[int, float]]:
    """The largest size that the table fits in, and the share of the free width of each column that is broken into lines."""
    for name, points in _SIZES:
        room = _LINE_POINTS / points - (len(columns) - 1) * _SEPARATION_POINTS / points
        whole = {at for at, column in enumerate(columns) if column.is_number}
        while True:  # what needs less than a fair share of the room is set in one line and leaves more to the others
            free = room - sum(columns[at].ems for at in whole)
            rest = [at for at in range(len(columns)) if at not in whole]
            fits = {at for at in rest if columns[at].ems <= free / len(rest)}
            if not fits:
                break
            whole |= fits
        if not rest and free >= 0:
            return name, {}
        if rest and free / len(rest) >= _LEAST_EMS:
            least = dict.fromkeys(rest, _LEAST_EMS)
            extra = free - sum(least.values())
            wanted = sum(columns[at].ems for at in rest)
            return name, {at: (least[at] + extra * columns[at].ems / wanted) / free for at in rest}
    raise OutputError(
        f"{len(columns)} columns do not fit into the width of a text ({', '.join(column.heading for column in columns)}); choose "
        "fewer with --columns, or fewer --digits"
    )


def _specs(columns: Sequence[_Column], broken: dict[int, float]) -> list[str]:
    taken = sum(column.ems for at, column in enumerate(columns) if at not in broken)
    separations = 2 * (len(columns) - 1)
    specs = []
    for at, column in enumerate(columns):
        if column.is_number:
            specs.append(f"S[{_format(column.texts)}]")
        elif at not in broken:
            specs.append("l")
        else:
            free = rf"\dimexpr\linewidth-{taken:.2f}em-{separations}\tabcolsep\relax"
            ragged = r">{\raggedright\hyphenpenalty10000\exhyphenpenalty10000\arraybackslash}"
            specs.append(rf"{ragged}p{{\dimexpr{broken[at] * 0.99:.4f}{free}\relax}}")
    return specs


def _parts(texts: Sequence[str]) -> tuple[int, int, int]:
    """Digits before and behind the point, and of the exponent, of the longest numbers of a column."""
    before, after, exponent = 1, 0, 0
    for text in texts:
        found = re.fullmatch(r"[<>]?-?(\d+)(?:\.(\d+))?(?:e-?(\d+))?", text)
        if found:
            before = max(before, len(found[1]))
            after, exponent = max(after, len(found[2] or "")), max(exponent, len(found[3] or ""))
    return before, after, exponent


def _compares(texts: Sequence[str]) -> bool:
    return any(text.startswith(("<", ">")) for text in texts)


def _format(texts: Sequence[str]) -> str:
    """The format of a siunitx column."""
    before, after, exponent = _parts(texts)
    sign = "-" if any(re.match("[<>]?-[0-9]", text) for text in texts) else ""
    compares = "<" if _compares(texts) else ""
    point = f".{after}" if after else ""
    power = f"e{exponent}" if exponent else ""
    return f"table-format={compares}{sign}{before}{point}{power}"


def _heading(column: _Column) -> str:
    if not column.is_number:
        return escape_latex(column.heading)
    lines = r"\\".join(escape_latex(line) for line in _stacked(column.heading))
    return rf"{{\shortstack[r]{{{lines}}}}}" if r"\\" in lines else f"{{{lines}}}"


def _stacked(heading: str) -> list[str]:
    """The words of a heading of numbers, a line each where it is longer than they are."""
    return heading.split() if len(heading) > _LONG_HEADING and heading.split() else [heading]


def _cell(text: str, column: _Column, *, breaks: bool) -> str:
    if column.is_number:
        if text == DASH:
            return "{--}"
        return {"inf": r"{$\infty$}", "-inf": r"{$-\infty$}"}.get(text, text)
    return _breakable(text) if breaks else escape_latex(text)


def _breakable(text: str) -> str:
    """A text that may be broken behind signs, and within words that are long, without a hyphen, which would not be its own."""
    pieces, run = [], 0.0
    for character in re.sub(r"\s+", " ", text):
        pieces.append(_latex_character(character))
        run = 0.0 if character == " " else run + _ems(character)
        if character in "_:/-.,=|" or run >= _UNBROKEN_EMS:
            pieces.append(_BREAK)
            run = 0.0
    return "".join(pieces)


def _ems(text: str) -> float:
    return sum(_EMS.get(c, _EM if ord(c) <= 0xFF else _CODE_POINT_EMS) for c in text)


def markdown_text(table: PrintedTable | pd.DataFrame, *, digits: int = DIGITS) -> str:
    """Markdown (GitHub's tables) of a table; pipes, markup and line ends in names are escaped."""
    printed = as_printed(table)
    columns = [printed.frame[name] for name in printed.frame.columns]
    marks = ["---:" if is_number(column) else "---" for column in columns]
    texts = [[escape_markdown(text) for text in cells(column, digits=digits)] for column in columns]
    lines = [[escape_markdown(heading) for heading in printed.headings], marks, *map(list, zip(*texts, strict=True))]
    above = f"**{escape_markdown(printed.caption)}**\n\n" if printed.caption else ""
    below = "".join(f"\n{escape_markdown(note)}\n" for note in printed.notes)
    return above + "".join(f"| {' | '.join(line)} |\n" for line in lines) + below


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
