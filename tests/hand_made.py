"""Small tables of the package's own shapes, with names that try to break out of whatever they are written into."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from bigbench_meta import schema
from bigbench_meta.analysis.tasks.concentration import claims_concentration
from bigbench_meta.emergence import score_curves
from bigbench_meta.facts.claims import claims, preferred_metrics

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = '<img src=x onerror="alert(1)">|`=1+1`&_%$#{}~^\\end{document}'

# What LaTeX, Markdown or a spreadsheet would act on.
NASTY = [
    "a_b",
    "50% & more",
    "x^2 ~ #1 {y}",
    r"\input{/etc/passwd}",
    "$E=mc^2$",
    "<b>",
    "a|b",
    "two\nlines",
    "[5pt]",
    "*",
    "?`!`--",
    "中文 é",
    '"q"',
]


@pytest.fixture(scope="session")
def hostile() -> str:
    """A task name that is markup, a formula and a command at once."""
    return HOSTILE


@pytest.fixture(scope="session")
def results() -> pd.DataFrame:
    """RESULTS of three tasks, two families, two metrics: straight lines and steps, made by hand."""
    rows = []
    shapes = {
        "straight": np.linspace(0.1, 0.9, 6),
        "step": np.array([0.1, 0.12, 0.1, 0.11, 0.1, 0.9]),
        HOSTILE: np.linspace(0.5, 0.2, 6),
    }
    for task, shape in shapes.items():
        for family, factor in (("BIG-G T=0", 1.0), ("GPT", 0.9)):
            for metric, preferred in (
                ("multiple_choice_grade", True),
                ("calibration_multiple_choice_brier_score", False),
            ):
                scores = factor * shape if preferred else 0.3 - 0.2 * shape
                for size, score in enumerate(scores):
                    rows.append(
                        {
                            "task": task, "subtask": task, "is_aggregate": False, "family": family, "model": f"size {size}",
                            "total_params": np.nan, "non_embedding_params": 2.0e6 * 10**size, "scale": 2.0e6 * 10**size,
                            "shots": 3, "trial": 0, "metric": metric, "score": float(score), "is_preferred": preferred,
                            "low_score": 0.25, "high_score": 1.0,
                            "score_normalized": (score - 0.25) / 0.75 if preferred else np.nan,
                            "source_file": f"scores_{family}_{size}.json",
                        }
                    )  # fmt: skip
    frame = pd.DataFrame(rows)
    words = {"category": "category", "float": "float64", "int": "int64", "bool": "bool"}
    return schema.validate(
        frame.astype({name: words[word] for name, word in schema.RESULTS.columns.items()}), schema.RESULTS
    )


@pytest.fixture(scope="session")
def curves(results: pd.DataFrame) -> pd.DataFrame:
    """CURVES after analysis, with made-up inference columns."""
    frame = score_curves(results)
    n = len(frame)
    frame = frame.assign(
        power_sharp=0.9,
        power_surprise=0.5,
        emergence_floored=frame["emergence_score"],
        **{
            name: np.linspace(0.01, 0.9, n) for name in ("width_decades", "width_low", "width_high", "implied_exponent")
        },
        **{
            f"{kind}_{what}": np.linspace(0.001, 0.99, n)
            for what in ("trend", "sharp", "surprise")
            for kind in ("p", "q")
        },
        sharp_up_to_exponent=np.linspace(0.05, 1, n),
        exponent_low=np.linspace(0.02, 0.5, n),
        exponent_high=np.linspace(0.2, 2, n),
        surprise=np.linspace(-0.2, 0.4, n),
        verdict=pd.Categorical(["sharp", "smooth", "undecided"] * (n // 3)),
        emergent=pd.array([True, False, pd.NA] * (n // 3), dtype="boolean"),
    )
    extra = [name for name in frame.columns if name not in schema.CURVES_ANALYZED.names]
    return schema.validate(frame[[*schema.CURVES_ANALYZED.names, *extra]], schema.CURVES_ANALYZED)


@pytest.fixture(scope="session")
def problems() -> pd.DataFrame:
    """Two rows of PROBLEMS."""
    row = {
        "file": "b.json",
        "where": "scores[0]",
        "problem": "NaN",
        "expected": "a number",
        "action": "kept as missing",
    }
    return pd.DataFrame([row, row | {"file": "a.json"}])


@pytest.fixture(scope="session")
def tables(results: pd.DataFrame, curves: pd.DataFrame, problems: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The tables of a small run."""
    concentration = claims_concentration(claims(), preferred_metrics(), rng=np.random.default_rng(0), draws=19)
    return {
        "results": results,
        "curves": curves,
        "problems": problems,
        "concentration": concentration,
        "claims": claims(),
        "sweep": pd.DataFrame({"exponent_bound": [0.1, 0.34]}),
    }


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A place for a run folder that does not exist yet."""
    return tmp_path / "out"
