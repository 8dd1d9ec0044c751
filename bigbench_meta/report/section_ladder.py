"""The part of the report on the model ladder: the three predictions with verdicts, intervals and figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bigbench_meta.experiments.predictions.together import CLAIMS, LARGE_SAMPLE, verdict_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.figure import Figure

    from bigbench_meta.report.page_parts import PageFigure, Section

# The task that was built to meet the assumptions, and what of it the contrast shows: the shortest targets, the longest
# at which the large sample was drawn, and one between.
BUILT = "contextual_substitution"
_SHOWN_LENGTHS = (1, 3, 8)
_LARGE = f"{BUILT}:length_8"
_PAIR_COLUMNS = (
    "task", "subtask", "family", "n_scales", "n_items", "emergence_accuracy", "emergence_accuracy_low",
    "emergence_accuracy_high", "emergence_distance", "emergence_distance_low", "emergence_distance_high", "ratio",
    "ratio_low", "ratio_high", "ratio_implied", "looks_sharper", "departure", "departure_low", "departure_high",
    "explained", "token_exponent", "excess", "excess_low", "excess_high", "smooth",
)  # fmt: skip
_CAVEATS = (
    "Each seed is a family of its own and answers the same items, so intervals hold item noise, and seeds show what training adds.",
    "Substitution was built to meet the assumptions: that the theory describes it does not show that it describes language models.",
    "The rules of predictions 1 and 2 were replaced after results of this ladder had been seen (docs/predictions.md).",
    "Undecided is not confirmed: with 100 items a departure of ten points of accuracy often cannot be told from none.",
)


def ladder_section(tables: Mapping[str, pd.DataFrame]) -> Section:
    """Return the report's section from the tables of the three predictions (``packaged_predictions``)."""
    from bigbench_meta.report.page_parts import PageTable, Section

    verdicts = verdict_table(tables)
    return Section(
        name="ladder",
        title="The three predictions on a real model ladder",
        sentences=(_what(tables), *_said_of_metrics(tables), *_said_of_items(tables), *_said_of_length(tables)),
        figures=(_contrast(tables), _ratios(tables), _items_and_length(tables)),
        tables=(
            PageTable(
                "ladder_verdicts",
                "Every verdict",
                "One row is one part of a prediction on one task (or length) and seed: "
                + "; ".join(f"{number}, {claim}" for number, claim in CLAIMS.items())
                + ".",
                verdicts,
            ),
            PageTable(
                "ladder_pairs",
                "Prediction 1 in numbers",
                "One row is one pair of curves of the same outputs: E with its 95% interval under exact match and edit distance, "
                "their ratio and the one that p^L implies, the largest departure of accuracy from p^L, and the largest share of the "
                "per-token rise in one gap beyond the family's own law.",
                tables["prediction_1"],
                _PAIR_COLUMNS,
            ),
        ),
        caveats=_CAVEATS,
    )


def _what(tables: Mapping[str, pd.DataFrame]) -> str:
    points = _small_sample(tables)
    tasks, seeds, sizes = (int(points[name].nunique()) for name in ("task", "family", "scale"))
    return (
        f"This project trained {tasks * seeds * sizes} small language models: {sizes} sizes, {seeds} seeds, {tasks} tasks, "
        f"{points['scale'].min():,.0f} to {points['scale'].max():,.0f} non-embedding parameters. Their outputs are judged as the "
        "command predictions judges any outputs. Contextual substitution was built to meet the assumptions of the "
        "paper's model; addition and multiplication are of the kind that the paper uses (it asks GPT-3, with two shots; these models "
        "are trained on the one task); sorting was built for neither."
    )


def _small_sample(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Points of the outputs, which have the same number of items everywhere."""
    points = tables["prediction_1_points"]
    return points[~points["subtask"].str.endswith(LARGE_SAMPLE)]


def _counted(verdicts: pd.DataFrame, number: str) -> str:
    words = (
        ("explained", "not explained", "undecided") if number == "1b" else ("confirmed", "not confirmed", "undecided")
    )
    counts = verdicts.loc[verdicts["prediction"] == number, "verdict"].value_counts()
    numbers = ", ".join(f"{word} {int(counts.get(word, 0))}" for word in words)
    return f"Prediction {number}, {CLAIMS[number]}: {numbers}."


def _said_of_metrics(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    pairs, verdicts = tables["prediction_1"], verdict_table(tables)
    large = pairs[pairs["subtask"] == _LARGE + LARGE_SAMPLE]
    each = "; ".join(
        f"{row['emergence_accuracy']:.0f} against {row['emergence_distance']:.1f}, ratio {row['ratio']:.1f} "
        f"({row['ratio_low']:.1f} to {row['ratio_high']:.1f})"
        for row in large.to_dict("records")
    )
    looks = (
        f"Where the assumptions hold, the metric matters: at 8 tokens and {int(large['n_items'].min()):,} items E under exact match against "
        f"edit distance is {each}; a straight line has {int(pairs['n_scales'].max()) - 1}."
    )
    follows = (
        f"There accuracy is {' / '.join(large['explained'])} by the three seeds: it lies above p^L by at most "
        f"{large['departure'].max():.3f} (errors of one output come together a little), and token success follows a law with exponents "
        f"{', '.join(f'{value:.2f}' for value in large['token_exponent'])}, far from the -.34 of language-model loss."
    )
    sentences = [_counted(verdicts, "1a"), looks, _counted(verdicts, "1b"), follows, _counted(verdicts, "1c")]
    others = pairs[pairs["task"] != BUILT]
    elsewhere = [
        f"{str(task).replace('_', ' ')} has ratios of {', '.join(f'{ratio:.2g}' for ratio in own['ratio'])}"
        for task, own in others.groupby("task", sort=True)
    ]
    above = int((others["ratio_low"] > 1).sum())
    sentences.append(
        f"Outside substitution accuracy looks sharper in {above} of {len(others)} pairs: {'; '.join(elsewhere)}. Sorting jumps under both "
        "metrics; multiplication and addition hardly rise, and their accuracy stays below p^L (some places of a number are easy)."
    )
    return sentences


def _said_of_items(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    families, models = tables["prediction_2"], tables["prediction_2_models"]
    small = models[models["model_verdict"].notna()]
    lifted = small[small["hits"] > 0]
    rates = ", ".join(f"{row['hits']:.0f} (p^L: {row['expected_hits']:.2g})" for row in lifted.to_dict("records"))
    silent = small[small["model_verdict"] == "undecided"]
    said = (
        f"With {int(families['n_items'].max()):,} items instead of 100, {len(lifted)} of {len(small)} models without a hit "
        f"get one or more: {rates} hits, where the best constant answer has {int(models['constant_hits'].max())}; "
        f"{int(families['above_constant'].sum())} of them beyond chance. For {len(silent)} p^L implies {silent['expected_hits'].min():.2g} to "
        f"{silent['expected_hits'].max():.2g} hits, which no test of this size could show; their silence is no evidence either way."
    )
    return [_counted(verdict_table(tables), "2"), said]


def _said_of_length(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    models, verdicts = tables["prediction_3_models"], verdict_table(tables)
    written = tables["prediction_3_length_one"].dropna(subset=["accuracy_r2"])
    eight = tables["prediction_3_lengths"].query("length == 8")
    from_one = (
        f"With nothing fitted, accuracy at length 1 to the power L has R2 {_span(written['accuracy_r2'])} over lengths 2 to "
        f"{int(written['longest'].max())}, and predicts E = {', '.join(f'{e:.0f}' for e in eight['emergence_predicted'])} at length 8, where "
        f"{', '.join(f'{e:.0f}' for e in eight['emergence'])} is observed. L times the edit distance at length 1 has R2 "
        f"{_span(written['distance_r2'])}; at length {int(written['longest'].max())} the distance is {_span(written['distance_over_predicted'], 2)} "
        "times that."
    )
    decided = models[models["verdict"] != "undecided"]
    fine = decided[decided["verdict"] == "confirmed"]
    exact = ((decided[["accuracy_p", "accuracy_curvature_p"]].min(axis=1) <= 0.05).sum(),
             (decided[["distance_p", "distance_curvature_p"]].min(axis=1) <= 0.05).sum())  # fmt: skip
    tasks = " and ".join(sorted(name.replace("_", " ") for name in decided["task"].unique()))
    fitted = (
        f"A fitted form can be judged in {len(decided)} of {len(models)} models, all of {tasks}, the one task with many target "
        f"lengths. The geometric and the linear form explain 90% or more of the variation beyond noise in {len(fine)}; as "
        f"exact laws the geometric form is rejected in {int(exact[0])} and the linear one in {int(exact[1])} (uncorrected)."
    )
    return [_counted(verdicts, "3a"), from_one, _counted(verdicts, "3b"), fitted]


def _span(values: pd.Series, digits: int = 3) -> str:
    return f"{values.min():.{digits}f} to {values.max():.{digits}f}"


def _contrast(tables: Mapping[str, pd.DataFrame]) -> PageFigure:
    from bigbench_meta.experiments.predictions.plots import metric_pair
    from bigbench_meta.report.drawing import draw

    points = _small_sample(tables)
    tasks = sorted(points["task"].unique(), key=lambda task: (task != BUILT, task))

    def drawing(figure: Figure) -> None:
        for number, (task, axs) in enumerate(zip(tasks, figure.subplots(2, len(tasks), sharex=True).T, strict=True)):
            only = tuple(f"{BUILT}:length_{k}" for k in _SHOWN_LENGTHS) if task == BUILT else ()
            metric_pair(points, (axs[0], axs[1]), task=task, only=only)
            axs[0].set_title(task.replace("_", " ") + (": built to fit" if task == BUILT else ""), loc="left", size=8)
            axs[1].set_title("the same outputs", loc="left", size=8)
            axs[0].set_xlabel("")
            if number:
                for ax in axs:
                    ax.set_ylabel("")
                axs[0].get_legend().remove()

    return draw(
        "ladder_contrast",
        drawing,
        title=f"The same outputs under exact match and edit distance (after Mirage, Fig. 3): M = {points['scale'].nunique()} "
        f"sizes, n = {int(points['n_items'].min())} items a point",
        alt="Top: accuracy by exact match over model scale with 95% exact intervals, a marker for each seed; dotted, the accuracy that "
        "token success implies. Bottom: mean edit distance "
        "of the same outputs. Columns are tasks; substitution is shown at three target lengths, darker for longer. Sorting jumps under "
        "both.",
        data=points,
        width=2.5 * len(tasks),
        height=4.6,
    )


def _ratios(tables: Mapping[str, pd.DataFrame]) -> PageFigure:
    from bigbench_meta.experiments.predictions.plots import ratio_intervals
    from bigbench_meta.report.drawing import draw

    pairs = tables["prediction_1"]
    return draw(
        "ladder_ratio",
        lambda figure: ratio_intervals(pairs, figure.subplots()),
        title="How much sharper accuracy is than edit distance of the same outputs",
        alt="E under exact match divided by E under edit distance, with 95% intervals from resampled items, for each task, target length "
        "and seed, on a log axis. The dashed line at 1 is no difference. In substitution the ratio grows with the target's length.",
        data=pairs[list(_PAIR_COLUMNS)],
        width=8.4,
    )


def _items_and_length(tables: Mapping[str, pd.DataFrame]) -> PageFigure:
    import pandas as pd

    from bigbench_meta.experiments.predictions.plots import from_length_one, item_growth, length_forms
    from bigbench_meta.report.drawing import draw

    of_items, models, points = (tables[f"prediction_{name}"] for name in ("2_points", "2_models", "3_points"))
    family, lengths = str(points["family"].min()), tables["prediction_3_lengths"]

    def drawing(figure: Figure) -> None:
        (items, one), (accuracy, distance) = figure.subplots(2, 2)
        item_growth(of_items, models, items, task=BUILT, subtask=_LARGE)
        from_length_one(lengths, one, task=BUILT)
        length_forms(points, (accuracy, distance), task=BUILT, family=family)

    return draw(
        "ladder_items_and_length",
        drawing,
        title=f"More items (all seeds), and longer targets ({family}; after Mirage, Fig. 4)",
        alt="Top left: accuracy over model scale on tests of growing size, log axes, with 95% exact intervals; open triangles are models "
        "without a hit. Top right: E of accuracy against target length, observed as points and predicted from length 1 as dashed lines. "
        "Bottom: accuracy against target length on a log axis with geometric fits, and edit distance with linear fits, a colour a model.",
        data=pd.concat(
            [of_items.assign(panel="items"), points.assign(panel="length"), lengths.assign(panel="from length 1")],
            ignore_index=True,
        ),
        width=8.4,
        height=6.6,
    )
