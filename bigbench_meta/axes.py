"""What orders the models of a curve: parameters, compute, tokens, steps or loss. A frame of RESULTS in, a frame out.

Vocabulary
----------
axis
    What a curve's ``scale`` is. ``params``: parameters; ``compute``: floating-point operations of training, as given or
    else 6 N D of scale N and tokens D (Kaplan et al. 2020, arXiv 2001.08361); ``tokens``; ``step``; ``loss``: exp(-loss), the
    probability of a token, whose logarithm rises as the loss falls.
run
    One training of a model, with its checkpoints. Under any axis but ``params`` a run is a family of its own; under
    ``params`` its last checkpoint stands for it.
place
    A positive number: zero is not a place on a logarithmic axis.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bigbench_meta.errors import AnalysisError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

AXES = ("params", "compute", "tokens", "step", "loss")
LABELS = {
    "params": "parameters", "compute": "training compute (FLOP)", "tokens": "training tokens", "step": "training steps",
    "loss": "exp(-loss), the probability of a token",
}  # fmt: skip
# Floating-point operations a parameter and token: 2 forward, 4 backward (Kaplan et al. 2020, sec. 2.1).
_FLOP = 6.0
# Metrics that are a loss, and how they become one; the first that a source has counts. Perplexities are exponentials.
_LOSSES = {"ce_loss": False, "loss": False, "cross_entropy": False, "bits_per_byte": False, "byte_perplexity": True, "word_perplexity": True,
           "perplexity": True, "ppl": True}  # fmt: skip
_ORDER = "axis"


class Placed(NamedTuple):
    """A frame whose ``scale`` is the place on an axis, sentences about it, and the rows that have no place, by reason."""

    frame: pd.DataFrame
    notes: tuple[str, ...]
    left_out: dict[str, int]


def on_axis(frame: pd.DataFrame, axis: str) -> Placed:
    """Return RESULTS with the places of an axis as ``scale``.

    Parameters
    ----------
    frame : DataFrame
        RESULTS. Its columns ``step, tokens, compute, loss`` are used where it has them. Not modified.
    axis : {"params", "compute", "tokens", "step", "loss"}

    Returns
    -------
    Placed
        Rows without a place are left out and counted. A frame that is on this axis already is returned as it is.

    Raises
    ------
    AnalysisError
        If the axis is unknown, or no row has a place on it.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"family": "f", "model": "m", "scale": 1e6, "step": [0.0, 1.0, 2.0], "metric": "acc", "score": 0.5})
    >>> placed = on_axis(frame, "step")
    >>> placed.frame["scale"].tolist(), placed.frame["family"].unique().tolist(), placed.left_out
    ([1.0, 2.0], ['f m'], {'zero is not a place on a logarithmic axis': 1})
    """
    if axis not in AXES:
        raise AnalysisError(f"axis={axis!r} is not one of {', '.join(AXES)}")
    if _ORDER in frame.columns and (frame[_ORDER] == axis).all():
        return Placed(frame, (), {})
    frame = frame.reset_index(drop=True)
    if axis == "params":
        return _by_params(frame)
    notes: list[str] = []
    if axis == "loss":
        place, used = _loss(frame)
        notes.append(used)
    else:
        place = frame[axis].to_numpy(np.float64) if axis in frame.columns else np.full(len(frame), np.nan)
        used = ""
    if axis == "compute":
        place, note = _compute(frame, place)
        notes += note
    reasons = {
        f"no {_words(axis)} known": ~np.isfinite(place),
        "zero is not a place on a logarithmic axis": place <= 0,
        "the loss itself": _is_loss(frame) if axis == "loss" else np.zeros(len(frame), dtype=bool),
    }
    gone = np.zeros(len(frame), dtype=bool)
    left_out = {}
    for reason, rows in reasons.items():
        count = int((rows & ~gone).sum())
        if count:
            left_out[reason] = count
        gone |= rows
    if gone.all():
        raise AnalysisError(
            f"axis={axis!r}: no score has a place ({_counted(left_out)}); expected a column {axis}"
            + (" or tokens" if axis == "compute" else "")
            + " of the results, or models that the table of models knows: see `bigbench_meta.models` and --models"
        )
    full = frame.assign(scale=place, family=_runs(frame))[~gone]
    notes.append(f"Curves run over {LABELS[axis]}; the checkpoints of one run are a family of their own.")
    notes += _constant(full, axis)
    if left_out:
        notes.append(f"Scores without a place on this axis are left out: {_counted(left_out)}.")
    return Placed(_marked(full, axis), tuple(notes), left_out)


def _words(axis: str) -> str:
    return {"step": "step", "tokens": "number of tokens", "compute": "compute", "loss": "loss"}[axis]


def _counted(reasons: dict[str, int]) -> str:
    return ", ".join(f"{count:,} ({reason})" for reason, count in reasons.items())


def _by_params(frame: pd.DataFrame) -> Placed:
    """Keep the last checkpoint of each run."""
    if "step" not in frame.columns or not len(frame):
        return Placed(_marked(frame, "params"), (), {})
    last = frame.groupby([frame["family"].astype(str), frame["model"].astype(str)])["step"].transform("max")
    earlier = (frame["step"] < last).to_numpy(bool)
    if not earlier.any():
        return Placed(_marked(frame, "params"), (), {})
    count = int(earlier.sum())
    note = (
        f"Over parameters the last checkpoint stands for each run: {count:,} scores of earlier checkpoints are left out. "
        "They are the curves of --axis compute, tokens or step."
    )
    return Placed(_marked(frame[~earlier], "params"), (note,), {"earlier checkpoints of a run": count})


def _compute(frame: pd.DataFrame, given: NDArray[np.float64]) -> tuple[NDArray[np.float64], list[str]]:
    """Return training compute: as given, else 6 N D."""
    if "tokens" not in frame.columns:
        return given, []
    worked_out = _FLOP * frame["scale"].to_numpy(np.float64) * frame["tokens"].to_numpy(np.float64)
    used = ~np.isfinite(given) & np.isfinite(worked_out)
    note = [f"Compute of {int(used.sum()):,} scores is 6 x parameters x tokens."] if used.any() else []
    return np.where(used, worked_out, given), note


def _is_loss(frame: pd.DataFrame) -> NDArray[np.bool_]:
    return frame["metric"].astype(str).str.partition(",")[0].isin(list(_LOSSES)[:3]).to_numpy(bool)


def _loss(frame: pd.DataFrame) -> tuple[NDArray[np.float64], str]:
    """Return exp(-loss) of each row's model, and how the loss was got."""
    if "loss" in frame.columns and frame["loss"].notna().any():
        return np.exp(-frame["loss"].to_numpy(np.float64)), "The loss of each model is the column loss."
    metric = frame["metric"].astype(str).str.partition(",")[0]
    run = [
        frame[name].astype(str) if name in ("family", "model") else frame[name]
        for name in ("family", "model", "step", "trial")
        if name in frame
    ]
    for name, is_exponential in _LOSSES.items():
        rows = frame[metric == name]
        if rows.empty:
            continue
        loss = np.log(rows["score"]) if is_exponential else rows["score"]
        mean = loss.groupby([each[rows.index] for each in run], dropna=False).mean().rename("mean")
        import pandas as pd

        keys = pd.MultiIndex.from_arrays(run)
        found = mean.reindex(keys).to_numpy(np.float64)
        tasks = rows["task"].nunique() if "task" in rows else 1
        return np.exp(-found), f"The loss of each model is its mean {name} over {tasks} tasks of the source."
    raise AnalysisError(
        f"axis='loss': the results hold no loss; expected a column loss, or a metric {', '.join(_LOSSES)} of each model"
    )


def _runs(frame: pd.DataFrame) -> pd.Series:
    """Return the family of each row, that of its run where its model has checkpoints."""
    family, model = frame["family"].astype(str), frame["model"].astype(str)
    if "step" not in frame.columns:
        return family
    has_steps = frame["step"].notna().groupby([family, model]).transform("any")
    return family.where(~has_steps, family + " " + model)


def _constant(frame: pd.DataFrame, axis: str) -> list[str]:
    """Name the families whose models the axis cannot order: all in one place."""
    places = frame.groupby("family")["scale"].nunique()
    models = frame.assign(model=frame["model"].astype(str)).groupby("family")["model"].nunique()
    same = [str(name) for name in places.index[(places == 1) & (models > 1)]]
    if not same:
        return []
    return [f"All models of {', '.join(same[:5])} have the same {_words(axis)}: this axis cannot order them."]


def _marked(frame: pd.DataFrame, axis: str) -> pd.DataFrame:
    """Return the frame with its axis as a column, categories reduced to those that occur."""
    import pandas as pd

    full = frame.reset_index(drop=True)
    for name in full.columns:
        if name == "family" or isinstance(full[name].dtype, pd.CategoricalDtype):
            texts = full[name].astype(str)
            full[name] = pd.Categorical(texts, categories=pd.Index(sorted(texts.unique()), dtype="str"))
    full[_ORDER] = pd.Categorical.from_codes(
        np.zeros(len(full), dtype=np.int8), categories=pd.Index([axis], dtype="str")
    )
    return full
