"""Turn two published tables of scores under several metrics into RESULTS-shaped CSV files that every command reads.

    python scripts/maintenance/read_published_tables.py ../shared/data OUT
    bigbench-meta run --source OUT/on_emergence.csv

Your own table needs the same six columns: ``task, metric, family, model, scale, score`` (and ``shots``, ``trial``,
``is_preferred`` where they matter). Scales here are *nominal* sizes: the number in a model's name, not a count.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd

# Metrics of UKPLab/on-emergence that are metrics of the same generated text, under the names of the registry.
_ON_EMERGENCE = {
    "exact_match_accuracy": "exact_str_match",
    "bert_score_accuracy": "bert_score_accuracy",
    "edit_distance": "edit_distance",
}
_BASE_MODELS = {
    "parsinlu_qa_2_acc": ("parsinlu_qa", "accuracy"),
    "word_unscrambling_2_exact_match": ("word_unscrambling", "exact_str_match"),
    "ipa_transliterate_2_exact_match": ("ipa_transliterate", "exact_str_match"),
    "ipa_transliterate_2_bleu": ("ipa_transliterate", "bleu"),
    "arithmetic_3ds_2_acc": ("arithmetic_3_digit_subtraction", "accuracy"),
    "arithmetic_3da_2_acc": ("arithmetic_3_digit_addition", "accuracy"),
    "arithmetic_2dm_2_acc": ("arithmetic_2_digit_multiplication", "accuracy"),
    "arithmetic_2da_2_acc": ("arithmetic_2_digit_addition", "accuracy"),
}
_COLUMNS = ["task", "metric", "family", "model", "scale", "shots", "trial", "is_preferred", "score"]


def on_emergence(scores: Path, models: Path, *, pool: bool = False) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read on_emergence_scores.csv and on_emergence_models.csv.

    Repeats of a model on a task at a shot count (data sets, prompt types, seeds) become trials, which are averaged when
    curves are scored. ``pool`` puts all models that were not tuned on instructions into one family, *pooled base
    models*: more scales, but size is then mixed up with architecture and training data.

    Returns
    -------
    rows, left_out
        The scores, and what was left out: a missing score (-100 in the file) or a model without a nominal size.
    """
    table = pd.read_csv(scores).merge(pd.read_csv(models), on="model", how="left")
    table["task"] = table["filename"].str.removesuffix("/task.json")
    long = table.melt(
        id_vars=["task", "model", "family", "nominal_params_billion", "number_of_shots"],
        value_vars=list(_ON_EMERGENCE),
        var_name="published",
        value_name="score",
    )
    long["reason"] = ""
    long.loc[long["score"] == -100, "reason"] = "missing score (-100)"
    long.loc[long["family"].isna(), "reason"] = "no nominal size for the model"
    left_out = long[long["reason"] != ""]
    kept = long[long["reason"] == ""].assign(
        metric=long["published"].map(_ON_EMERGENCE), scale=1e9 * long["nominal_params_billion"]
    )
    if pool:
        tuned = kept["family"].str.contains("instruct|Flan")
        left_out = pd.concat([left_out, kept[tuned].assign(reason="tuned on instructions, not pooled")])
        kept = kept[~tuned].assign(family="pooled base models")
    kept = kept.rename(columns={"number_of_shots": "shots"})
    kept["trial"] = kept.groupby(["task", "metric", "family", "model", "shots"]).cumcount()
    kept["is_preferred"] = kept["metric"] == "exact_str_match"
    return _sorted(kept), left_out


def base_models(scores: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read base_llm_emergent_capability_eval.csv, two-shot scores of open base models; missing cells are left out."""
    table = pd.read_csv(scores).melt(
        id_vars=["model", "family", "params_billion"],
        value_vars=list(_BASE_MODELS),
        var_name="published",
        value_name="score",
    )
    named = pd.DataFrame([_BASE_MODELS[name] for name in table["published"]], columns=["task", "metric"])
    table = table.assign(
        task=named["task"], metric=named["metric"], scale=1e9 * table["params_billion"], shots=2, trial=0
    )
    table["is_preferred"] = table["metric"] != "bleu"
    missing = table["score"].isna()
    return _sorted(table[~missing]), table[missing].assign(reason="missing score")


def _sorted(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[_COLUMNS].sort_values(_COLUMNS[:7], ignore_index=True)


def main() -> int:
    """Write the CSV files and say what was left out."""
    parser = argparse.ArgumentParser(description="Write RESULTS-shaped CSV files from the published tables.")
    parser.add_argument("data", type=Path, help="folder of the published tables")
    parser.add_argument("out", type=Path, help="folder to write into")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    scores, models = (arguments.data / f"on_emergence_{part}.csv" for part in ("scores", "models"))
    for name, (rows, left_out) in {
        "on_emergence": on_emergence(scores, models),
        "on_emergence_pooled": on_emergence(scores, models, pool=True),
        "base_models": base_models(arguments.data / "base_llm_emergent_capability_eval.csv"),
    }.items():
        path = arguments.out / f"{name}.csv"
        rows.to_csv(path, index=False, lineterminator="\n")
        for reason, count in left_out["reason"].value_counts().items():
            print(f"{name}: {count} scores left out: {reason}", file=sys.stderr)
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
