"""The part of the report on the model ladder: the three predictions with verdicts, intervals and figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bigbench_meta.experiments.predictions.together import CLAIMS, verdict_table

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
    "ratio_low", "ratio_high", "q_sharp_accuracy", "p_sharp_distance", "verdict", "line_verdict",
)  # fmt: skip
_CAVEATS = (
    "Each seed is a family of its own and answers the same items, so intervals hold item noise, and seeds show what training adds.",
    "Substitution was built to meet the assumptions: that the theory describes it says nothing of language models at large.",
    "The rule of prediction 1 was replaced after results of this ladder had been seen; the earlier verdict stands beside it.",
    "Not being shown sharp is no proof of smoothness: how often each test errs is simulated in docs/predictions.md.",
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
                "One row is one prediction on one task (or length) and seed.",
                verdicts,
            ),
            PageTable(
                "ladder_pairs",
                "Prediction 1 in numbers",
                "One row is one pair of curves of the same outputs: E with its 95% interval under exact match and edit "
                "distance, their ratio, and the calibrated test of sharpness of both.",
                tables["prediction_1"],
                _PAIR_COLUMNS,
            ),
        ),
        caveats=_CAVEATS,
    )


def _what(tables: Mapping[str, pd.DataFrame]) -> str:
    points = tables["prediction_1_points"]
    tasks, seeds, sizes = (int(points[name].nunique()) for name in ("task", "family", "scale"))
    return (
        f"This project trained {tasks * seeds * sizes} small language models: {sizes} sizes, {seeds} seeds, {tasks} tasks, "
        f"{points['scale'].min():,.0f} to {points['scale'].max():,.0f} non-embedding parameters. Their outputs are judged as the "
        "command predictions judges any outputs. Contextual substitution was built to meet the assumptions of the "
        "paper's model; addition and multiplication are the paper's own tasks; sorting was built for neither."
    )


def _counted(table: pd.DataFrame, number: int) -> str:
    counts = table["verdict"].value_counts()
    numbers = ", ".join(f"{word} {int(counts.get(word, 0))}" for word in ("confirmed", "not confirmed", "undecided"))
    return f"Prediction {number}, {CLAIMS[number]}: {numbers}."


def _said_of_metrics(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    pairs = tables["prediction_1"]
    built = pairs[pairs["subtask"] == _LARGE]
    each = "; ".join(
        f"{row['emergence_accuracy']:.0f} against {row['emergence_distance']:.0f}, ratio {row['ratio']:.1f} "
        f"({row['ratio_low']:.1f} to {row['ratio_high']:.1f})"
        for row in built.to_dict("records")
    )
    substitution = pairs[pairs["task"] == BUILT]
    both = (substitution["q_sharp_accuracy"] <= 0.05) & (substitution["p_sharp_distance"] <= 0.05)
    above = pairs["ratio_low"] > 1
    fit = (
        f"Where the assumptions hold, the metric matters: at 8 tokens E under exact match against edit distance is {each} "
        f"(a straight line has {int(pairs['n_scales'].max()) - 1}). It does not make the rise smooth: in {int(both.sum())} of "
        f"{len(substitution)} pairs of that task both metrics are sharper than every smooth curve up to the steepest "
        "published exponent."
    )
    others = [
        f"{str(task).replace('_', ' ')} has ratios of {', '.join(f'{ratio:.2g}' for ratio in own['ratio'])}"
        f" and sharp edit distance in {int((own['p_sharp_distance'] <= 0.05).sum())} of {len(own)} seeds"
        for task, own in pairs[pairs["task"] != BUILT].groupby("task", sort=True)
    ]
    earlier = pairs[pairs["line_verdict"] == "confirmed"]
    by_line = (
        f"By the earlier rule, E against a straight line's, {len(earlier)} pairs are confirmed, "
        f"{int((earlier['task'] == BUILT).sum())} of them of substitution."
    )
    elsewhere = (
        f"The whole interval of the ratio lies above 1 in {int(above[substitution.index].sum())} of {len(substitution)} pairs of "
        f"substitution and in {int(above.drop(substitution.index).sum())} of {len(pairs) - len(substitution)} elsewhere: "
        f"{'; '.join(others)}."
    )
    return [_counted(pairs, 1), fit, elsewhere, by_line]


def _said_of_items(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    families, models = tables["prediction_2"], tables["prediction_2_models"]
    small = models[(models["hits_first"] == 0) & models["p_holm"].notna()]
    lifted = small[small["hits"] > 0]
    rates = ", ".join(f"{int(hits)}" for hits in lifted["hits"])
    said = (
        f"With {int(families['n_items'].max()):,} items instead of 100, {len(lifted)} of {len(small)} models without a hit "
        f"get one or more ({rates} hits), where the best constant answer has {int(models['constant_hits'].max())}; "
        f"{int(families['above_constant'].sum())} of them beyond chance. The other {len(small) - len(lifted)} stay at "
        "zero: more items resolve what is there, and at the smallest sizes there is nothing yet."
    )
    return [_counted(families, 2), said]


def _said_of_length(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    models = tables["prediction_3_models"]
    decided = models[models["verdict"] != "undecided"]
    fine = decided[decided["verdict"] == "confirmed"]
    exact = ((decided[["accuracy_p", "accuracy_curvature_p"]].min(axis=1) <= 0.05).sum(),
             (decided[["distance_p", "distance_curvature_p"]].min(axis=1) <= 0.05).sum())  # fmt: skip
    tasks = " and ".join(sorted(name.replace("_", " ") for name in decided["task"].unique()))
    said = (
        f"A form can be judged in {len(decided)} of {len(models)} models, all of {tasks}, the one task with many target "
        f"lengths. The geometric and the linear form explain 90% or more of the variation beyond noise in {len(fine)}; as "
        f"exact laws the geometric form is rejected in {int(exact[0])} and the linear one in {int(exact[1])}."
    )
    return [_counted(tables["prediction_3"], 3), said]


def _contrast(tables: Mapping[str, pd.DataFrame]) -> PageFigure:
    from bigbench_meta.experiments.predictions.plots import metric_pair
    from bigbench_meta.report.drawing import draw

    points = tables["prediction_1_points"]
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
        alt="Top: accuracy by exact match over model scale with 95% exact intervals, a marker for each seed. Bottom: mean edit distance "
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

    from bigbench_meta.experiments.predictions.plots import item_growth, length_forms
    from bigbench_meta.report.drawing import draw

    of_items, models, points = (tables[f"prediction_{name}"] for name in ("2_points", "2_models", "3_points"))
    family = str(points["family"].min())

    def drawing(figure: Figure) -> None:
        left, middle, right = figure.subplots(1, 3)
        item_growth(of_items, models, left, task=BUILT, subtask=_LARGE)
        length_forms(points, (middle, right), task=BUILT, family=family)

    return draw(
        "ladder_items_and_length",
        drawing,
        title=f"More items (all seeds), and longer targets ({family}; after Mirage, Fig. 4)",
        alt="Left: accuracy over model scale on tests of growing size, log axes, with 95% exact intervals; open triangles are models "
        "without a hit. Middle: accuracy against target length on a log axis with geometric fits. Right: edit distance against target "
        "length with linear fits. A colour is a test size on the left, a model elsewhere.",
        data=pd.concat([of_items.assign(panel="items"), points.assign(panel="length")], ignore_index=True),
        width=10.0,
        height=3.8,
    )
