"""OpenCompass: a summary in CSV, one row a dataset and metric, a column a model, scores in percent and ``-`` where missing."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from bigbench_meta.loader.bigbench.document import UnusableError
from bigbench_meta.loader.columns import Problem
from bigbench_meta.loader.harness.lm_eval_old import benchmark_of
from bigbench_meta.loader.harness.rows import Read
from bigbench_meta.values import as_number, is_text, shown

if TYPE_CHECKING:
    from bigbench_meta.loader.harness.rows import Row

NAME = "opencompass"
TITLE = "OpenCompass"
_NAMES = ("dataset", "version", "metric", "mode")
SUMMARY_START = ",".join(_NAMES).encode() + b","  # how a summary begins
_COUNTS = frozenset({"total_count"})  # a column of some forks that is no model
_MISSING = "-"
_MOST_CELLS = 2_000_000
# Benchmarks that OpenCompass runs as many datasets: how their names begin.
_PARTS = ("lukaemon_mmlu_", "ceval-", "cmmlu-", "bbh-", "agieval-", "GaokaoBench_", "mmlu_pro_", "FewCLUE_")
# Its summaries show shares in percent.
_LOW, _HIGH = 0.0, 100.0


def is_summary(data: bytes) -> bool:
    """Whether a file begins like a summary."""
    return data.removeprefix(b"\xef\xbb\xbf").startswith(SUMMARY_START)


def read_summary(data: bytes, file: str) -> Read:
    """Return a row for each score of a summary, and a problem for each cell that is none.

    ``on_disk`` counts the cells of the models' columns by the commas of the records, apart from what is read of them.

    Raises
    ------
    UnusableError
        If the file is no table of as many cells in each row as its header has.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        raise UnusableError("$", f"bytes that are not UTF-8 ({err.reason})", "UTF-8") from err
    if text.count(",") > _MOST_CELLS:
        raise UnusableError("$", f"{text.count(',')} cells", f"at most {_MOST_CELLS} cells")
    try:
        records = [record for record in csv.reader(io.StringIO(text, newline=""), strict=True) if record]
    except csv.Error as err:
        raise UnusableError("$", f"not CSV ({err})", "a summary as OpenCompass writes it") from err
    header = records[0]
    models = [place for place, name in enumerate(header) if place >= len(_NAMES) and name not in _COUNTS]
    rows: list[Row] = []
    problems: list[Problem] = []
    missing = 0
    for number, record in enumerate(records[1:], start=2):
        if len(record) != len(header):
            raise UnusableError(f"line {number}", f"{len(record)} cells", f"{len(header)} cells, as in the header")
        dataset, version, metric, mode = record[: len(_NAMES)]
        for place in models:
            cell = record[place].strip()
            where = f"row {number}, column {shown(header[place])}"
            score = as_number(cell)
            usable = all(name and is_text(name) for name in (dataset, metric, header[place]))
            if cell in {_MISSING, ""} and usable:
                missing += 1
            elif score is None or not usable or score != score or abs(score) == float("inf"):  # noqa: PLR0124 - NaN
                problems.append(
                    Problem(
                        file, where, f"the score is {shown(cell)}", "a number, or - where there is none", "no row", 1
                    )
                )
            else:
                rows.append(
                    {"file": file, "where": where, "harness": NAME, "task": benchmark_of(dataset, _PARTS), "subtask": dataset,
                     "metric": metric, "filter": mode, "is_aggregate": False, "score": score, "model": header[place],
                     "task_version": version if version != _MISSING else "", "low": _LOW, "high": _HIGH}
                )  # fmt: skip
    if missing:
        problems.append(
            Problem(
                file, "$", f"{missing} cells are - or empty", "a score for each model and dataset", "no row", missing
            )
        )
    return Read(rows, problems, len(models) * (len(records) - 1))
