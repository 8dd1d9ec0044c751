"""How an analysis shows itself: as a card at the end of a notebook cell, and as an interactive chart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bigbench_meta.cards import Card, WithCard, counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    import altair as alt
    import pandas as pd

_STEPS = (
    ("bm.findings(analysis)", "everything found, in sentences"),
    ("analysis.curves", "a verdict a curve"),
    ("analysis.explore()", "an interactive chart"),
)


class AnalysisViews(WithCard):
    """What `bigbench_meta.analysis.Analysis` shows of its tables."""

    curves: pd.DataFrame
    points: pd.DataFrame
    concentration: pd.DataFrame
    settings: dict[str, Any]

    def _card(self) -> Card:
        from bigbench_meta.analysis.summary import answer

        curves, settings = self.curves, self.settings
        tested = int(curves["p_sharp"].notna().sum())
        left = settings.get("n_not_tested", {})
        reasons = ", ".join(f"{reason.replace('_', ' ')} {count:,}" for reason, count in left.items())
        facts = [
            *answer({"curves": curves, "concentration": self.concentration}),
            (
                "Tested",
                f"{tested:,} of {counted(len(curves), 'curve')}, with up to {settings.get('draws', 0):,} draws each",
            ),
        ]
        if reasons:
            facts.append(("Not tested", reasons))
        steps = list(_STEPS)
        if not tested and any(str(reason).startswith("noise unknown") for reason in left):
            items = ("bm.analyze(results, rng=0, items=items)", "with a frame task, n_items: items behind each score")
            steps.insert(0, items)
        return Card(
            "Analysis",
            f"{counted(len(curves), 'curve')} of {counted(curves['task'].nunique(), 'task')}, {tested:,} tested",
            tuple(facts),
            tuple(steps),
        )

    def explore(
        self, *, tasks: Sequence[str] | None = None, metrics: Sequence[str] | None = None, every_metric: bool = False
    ) -> alt.HConcatChart:
        """Draw the curves as an interactive chart: pick curves on the left, see their scores over scale on the right.

        Parameters
        ----------
        tasks, metrics : sequences of str, optional
            Only these; by default all.
        every_metric : bool
            The curves of all metrics, not only of the preferred ones. Metrics that are named are all drawn.

        Returns
        -------
        altair.HConcatChart
            For JupyterLab, VS Code and the like; ``.save("curves.html")`` writes a page of its own. Altair's default renderer
            loads its libraries from the network; ``altair.renderers.enable("jupyter")`` or ``"mimetype"`` uses those of the
            notebook.

        Raises
        ------
        MissingExtraError
            If Altair is not installed (the extra ``explore``).
        AnalysisError
            If nothing is left to draw, or a task or metric is not among the curves.

        Examples
        --------
        >>> analysis = bm.analyze(results, rng=0)  # doctest: +SKIP
        >>> analysis.explore(tasks=["navigate"])  # doctest: +SKIP
        """
        from bigbench_meta.analysis.explorer import explorer

        return explorer(self.curves, self.points, tasks=tasks, metrics=metrics, every_metric=every_metric)
