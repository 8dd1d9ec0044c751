"""What a value of the package shows of itself at the end of a notebook cell or in a console: a short card.

A card holds text that may come from anybody's files. It is escaped in HTML and made printable in a console.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from bigbench_meta.errors import printable

# Characters of one line of a card: a name in a source may be a megabyte long.
_MOST = 400
_BOX = "border:1px solid #8888;border-radius:4px;padding:.5em .9em;max-width:60em;line-height:1.45"
_LABEL = "text-align:left;vertical-align:top;padding:.1em 1em .1em 0;font-weight:600;white-space:nowrap"
_TEXT = "text-align:left;vertical-align:top;padding:.1em 0;overflow-wrap:anywhere"


@dataclass(frozen=True)
class Card:
    """What a value is, what is to be known of it, and what can be done with it.

    Attributes
    ----------
    kind
        Name of its class.
    head
        What it is, in a few words.
    facts
        Pairs of a label and a sentence, such as counts and the answer.
    steps
        Next steps: code or commands, each with what it gives.
    columns, rows
        A small table, for notebooks alone.
    """

    kind: str
    head: str
    facts: tuple[tuple[str, str], ...] = ()
    steps: tuple[tuple[str, str], ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()

    def line(self) -> str:
        """One line for ``repr``: the kind and what it is.

        Examples
        --------
        >>> Card("Results", "10 rows").line()
        '<Results: 10 rows>'
        """
        return f"<{self.kind}: {_cut(self.head)}>"

    def html(self) -> str:
        """HTML for a notebook: nothing in it is obeyed, whatever the names in it hold.

        Examples
        --------
        >>> "<script>" in Card("Results", "<script>").html()
        False
        """
        facts = "".join(_row(escape(label), escape(_cut(text))) for label, text in self.facts)
        steps = "<br>".join(f"<code>{escape(code)}</code> {escape(what)}" for code, what in self.steps)
        rows = facts + (_row("Next", steps) if steps else "")
        table = f'<table style="border:0;margin:.3em 0 0"><tbody>{rows}</tbody></table>' if rows else ""
        return f'<div style="{_BOX}"><b>{escape(self.kind)}</b>: {escape(_cut(self.head))}{table}{self._table()}</div>'

    def _table(self) -> str:
        if not self.rows:
            return ""
        head = "".join(f'<th style="text-align:left">{escape(name)}</th>' for name in self.columns)
        rows = "".join(
            "<tr>" + "".join(f'<td style="{_TEXT}">{escape(_cut(cell))}</td>' for cell in row) + "</tr>"
            for row in self.rows
        )
        return f'<table style="margin:.5em 0 0"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _row(label: str, text: str) -> str:
    return f'<tr style="background:none"><th style="{_LABEL}">{label}</th><td style="{_TEXT}">{text}</td></tr>'


def _cut(text: str) -> str:
    shown = printable(text)
    return shown if len(shown) <= _MOST else f"{shown[:_MOST]}… ({len(shown):,} characters)"


class WithCard:
    """Base of values that show a card of themselves: short in a console, rich in a notebook."""

    def _card(self) -> Card:
        raise NotImplementedError

    def __repr__(self) -> str:
        return self._card().line()

    def _repr_html_(self) -> str:
        return self._card().html()


def counted(count: int, noun: str) -> str:
    """A count with its noun, in the plural where there is not one.

    Examples
    --------
    >>> counted(1, "curve"), counted(12345, "curve"), counted(0, "family")
    ('1 curve', '12,345 curves', '0 families')
    """
    if count == 1:
        return f"1 {noun}"
    return f"{count:,} {noun[:-1] + 'ies' if noun.endswith('y') else noun + 's'}"
