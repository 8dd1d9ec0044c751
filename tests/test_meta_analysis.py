"""The script that users copy runs end to end, is short, and stands on the public API alone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd

import bigbench_meta as bm

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "scripts" / "meta_analysis.py"


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(SCRIPT), "--draws", "19", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_a_user_sees_two_scripts_and_the_first_is_short():
    """At most sixty lines, no name of ours outside ``__all__``, and two files beside the folder of maintainers."""
    text = SCRIPT.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 60
    assert set(re.findall(r"\bbm\.(\w+)", text)) <= set(bm.__all__)
    assert "from bigbench_meta" not in text
    assert sorted(path.name for path in SCRIPT.parent.iterdir() if path.suffix == ".py") == [
        "meta_analysis.py",
        "reproduce_mirage.py",
    ]


def test_without_a_source_it_analyses_the_packaged_ladder(tmp_path):
    """3,051 scores of 108 models; the tables that a paper needs, two figures, and findings on stdout."""
    done = run(cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "3051 scores, 0 problems" in done.stdout
    assert "an undecided curve is not shown to be smooth" in done.stdout.lower()  # the ladder holds no claimed task
    made = tmp_path / "meta-analysis"
    assert sorted(path.name for path in made.iterdir()) == [
        "claims.csv", "concentration.csv", "curves.csv", "emergence_by_metric.pdf", "problems.csv", "results.csv",
        "verdicts_by_metric.pdf",
    ]  # fmt: skip
    assert len(pd.read_csv(made / "results.csv")) == 3051
    curves = pd.read_csv(made / "curves.csv")
    assert curves.loc[curves["is_preferred"], "p_sharp"].notna().any()  # the items behind the ladder's scores are known


def test_a_users_own_table_is_a_source(tmp_path):
    """Six columns and the items behind each score."""
    rows = [
        {"task": f"t{task}", "metric": "exact_string_match", "family": "f", "model": size, "scale": 10.0**size,
         "score": (task + 1) * size / 40}
        for task in range(3) for size in range(1, 7)
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(tmp_path / "own.csv", index=False)
    pd.DataFrame({"task": ["t0", "t1", "t2"], "n_items": 40}).to_csv(tmp_path / "items.csv", index=False)
    done = run("own.csv", "--items", "items.csv", "--out", "made", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    curves = pd.read_csv(tmp_path / "made" / "curves.csv")
    assert list(curves["metric"]) == ["exact_str_match"] * 3
    assert list(curves["n_items"]) == [40, 40, 40]
