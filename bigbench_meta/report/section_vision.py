"""The part of the report on vision: sentences, three figures with their data, and two tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bigbench_meta.experiments.vision.calibration import said_of_calibration, said_of_stopped_ladders
from bigbench_meta.experiments.vision.outcomes_table import mean_by_scale
from bigbench_meta.experiments.vision.statements import GROUP_STEM, findings, of_family
from bigbench_meta.experiments.vision.training_plan import EXPERIMENTS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from bigbench_meta.report.page_parts import PageFigure, Section

_TITLES = {
    "autoencoder": "Autoencoders: squared error, and images reconstructed within c (after Mirage, Fig. 7)",
    "lenet": "LeNet family: accuracy, and all K images of a subset right (after Mirage, Fig. 8)",
    "transformer": "Transformers: accuracy per image, and all L images of a sequence right (after Mirage, Fig. 10)",
}
_ALTS = {
    "autoencoder": "Left: mean squared error over bottleneck units. Middle: the share of images with an error below the headline "
    "threshold, of the same models. Right: that share for every threshold of the grid, one line each, the headline thicker.",
    "lenet": "Left: accuracy per image over parameters. Middle: the share of subsets with all K images right, one line for each K, "
    "with the closed form accuracy to the power K dashed. Right: measured minus closed form for K = 5, for subsets drawn at random, "
    "within a class, and next to each other in the file; zero is independence.",
    "transformer": "Left: accuracy per image over parameters. Middle: the share of sequences with the first L images right, one line "
    "for each L, with the closed form accuracy to the power L dashed. Right: measured minus closed form for L = 5, for random "
    "sequences and for sequences of one class; zero is independence.",
}
_CAVEATS = (
    "Lines are means over trials (seeds), bands reach from the lowest to the highest trial.",
    "Trials share the images and the split: the bands show initial weights and data order, not the choice of images.",
    "Random groups of test images obey accuracy^K by construction, up to drawing without replacement.",
    "Only groups of alike images can show a failure of independence.",
    "Bottleneck units are not parameters: the published exponents that sharpness is judged by are about parameters.",
    "Sequences are classified image by image, so the labels before an image help little; this is not learning in context.",
)


def vision_section(
    frame: pd.DataFrame,
    *,
    source: str,
    calibration: pd.DataFrame | None = None,
    stopped: pd.DataFrame | None = None,
) -> Section:
    """Return the report's section for a results frame.

    Parameters
    ----------
    frame : DataFrame
        Results of one image set.
    source : str
        Said first: where the numbers come from, such as "trained on scikit-learn's digits; comes with the package".
    calibration : DataFrame, optional
        From `calibration.calibrate` or `calibration.shipped_calibration`; families that are not in ``frame`` are left out.
    stopped : DataFrame, optional
        From `calibration.stopped_ladders` or `calibration.shipped_stopped_ladders`, likewise.

    Returns
    -------
    bigbench_meta.report.page_parts.Section
    """
    from bigbench_meta.report.page_parts import PageTable, Section

    found = findings(frame)
    present = [name for name in EXPERIMENTS if len(of_family(frame, name))]
    sentences, tables = [f"Results: {source}.", *found.sentences], dict(found.tables)
    if calibration is not None:
        tables["vision_calibration"] = calibration[calibration["family"].isin(present)].reset_index(drop=True)
        sentences += said_of_calibration(frame, tables["vision_calibration"])
    figures = [_figure(frame, name) for name in present]
    if stopped is not None:
        mine = stopped[stopped["family"].isin(present)].reset_index(drop=True)
        tables["vision_stopped_ladders"] = mine
        sentences += said_of_stopped_ladders(frame, mine)
        figures.append(_stopped_figure(frame, mine, present))
    notes = {
        "vision_stopped_ladders": "One row is one curve cut after one of its sizes, judged as if the study had ended there. "
        "The cuts overlap, and the p-values are not corrected for their number.",
        "vision_calibration": "One row is one curve and what the calibration says of it. The p-values are not corrected for the number of curves.",
        "vision_shapes": "One row is one metric of one family of models, averaged over trials.",
        "vision_sparse_sizes": "One row is one metric of the LeNets and a number of sizes: medians, with 5% and 95% quantiles, over subsets of "
        "the sizes that keep the smallest and the largest (after Mirage, Fig. 10C).",
        "vision_independence": "One row is one way of grouping test images, one size of group and one size of model.",
    }
    titles = {
        "vision_shapes": "Shape of every curve",
        "vision_sparse_sizes": "Few sizes against many",
        "vision_independence": "Groups of images against independence",
        "vision_stopped_ladders": "Ladders stopped at each size",
        "vision_calibration": "The curves judged like those of BIG-bench",
    }
    return Section(
        name="vision",
        title="Vision: emergence made to appear, and to go away, by the choice of metric",
        sentences=tuple(sentences),
        figures=tuple(figures),
        tables=tuple(PageTable(name, titles[name], notes[name], table) for name, table in tables.items()),
        caveats=_CAVEATS if any(name in GROUP_STEM for name in present) else (*_CAVEATS[:2], _CAVEATS[4]),
    )


def _figure(frame: pd.DataFrame, experiment: str) -> PageFigure:
    from bigbench_meta.experiments.vision.drawings import draw_experiment
    from bigbench_meta.report.drawing import draw

    def drawing(figure: Figure) -> None:
        left, middle, right = figure.subplots(1, 3)
        draw_experiment(frame, experiment, axes=(left, middle, right))

    return draw(
        f"vision_{experiment}",
        drawing,
        title=_TITLES[experiment],
        alt=_ALTS[experiment],
        data=curve_table(frame, experiment),
        width=9.6,
        height=3.3,
    )


def _stopped_figure(frame: pd.DataFrame, stopped: pd.DataFrame, present: list[str]) -> PageFigure:
    from bigbench_meta.experiments.vision.drawings import draw_stopped_ladders
    from bigbench_meta.report.drawing import draw

    def drawing(figure: Figure) -> None:
        panels = figure.subplots(1, len(present), squeeze=False)[0]
        for experiment, ax in zip(present, panels, strict=True):
            draw_stopped_ladders(frame, stopped, experiment, ax=ax)

    return draw(
        "vision_stopped_ladders",
        drawing,
        title="The same curves, had the ladder stopped earlier",
        alt="Curves of hard and smooth metrics with a star at every size where a study that ended there would have found the curve "
        "sharp and its largest sizes unforeseen by any smooth law fitted to the smaller ones.",
        data=stopped,
        width=3.2 * len(present),
        height=3.3,
    )


def curve_table(frame: pd.DataFrame, experiment: str) -> pd.DataFrame:
    """Return the points of an experiment's curves: ``metric, scale, score, low, high`` (mean, least, largest trial)."""
    import pandas as pd

    rows = of_family(frame, experiment)
    metrics = sorted(set(rows["metric"].astype(str)))
    return pd.concat([mean_by_scale(rows, m).assign(metric=m) for m in metrics], ignore_index=True)[
        ["metric", "scale", "score", "low", "high"]
    ]
