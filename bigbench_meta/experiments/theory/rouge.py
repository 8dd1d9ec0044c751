"""ROUGE-L against the per-token error, by simulation: whether it is sharp, as the paper reports of ROUGE-L-Sum.

ROUGE-L of a one-sentence output (where ROUGE-L-Sum is the same) is the F score of the longest common subsequence; with several references
the best counts. Outputs are a reference with some of its tokens replaced by others of the vocabulary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

# Tokens of an output, words of the vocabulary, outputs a point: means known to about .003.
LENGTH, VOCABULARY, OUTPUTS = 20, 1000, 400
ERRORS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
# Other references share this part of their tokens with the first, as paraphrases do.
_SHARED = 0.6
_CASES = (("independent", 1), ("independent", 8), ("in runs", 1), ("whole outputs", 1))
_RUN = 5


def rouge_table(*, rng: np.random.Generator) -> pd.DataFrame:
    """Simulate mean ROUGE-L over the per-token error.

    Returns
    -------
    pandas.DataFrame
        ``errors, references, token_error, rouge_l, one_minus_error, departure, accuracy``: ``errors`` is independent, in runs of five tokens,
        or whole outputs; ``one_minus_error`` is the share of tokens that were kept; ``accuracy`` is the share of outputs that
        equal the first reference, for contrast.

    Notes
    -----
    Both lengths are equal, so precision, recall and F are all the longest common subsequence over the length.
    """
    import pandas as pd
    from rapidfuzz.distance import LCSseq

    rows = []
    for errors, references in _CASES:
        for error in ERRORS:
            total, exact, missed = 0.0, 0, 0
            for _ in range(OUTPUTS):
                target = rng.integers(0, VOCABULARY, LENGTH)
                wrong = _wrong(errors, error, rng=rng)
                output = np.where(wrong, (target + rng.integers(1, VOCABULARY, LENGTH)) % VOCABULARY, target).tolist()
                others = [
                    np.where(rng.random(LENGTH) < _SHARED, target, rng.integers(0, VOCABULARY, LENGTH)).tolist()
                    for _ in range(references - 1)
                ]
                total += max(LCSseq.similarity(output, one) for one in (target.tolist(), *others)) / LENGTH
                exact += not wrong.any()
                missed += int(wrong.sum())
            shares = (total / OUTPUTS, 1 - missed / (OUTPUTS * LENGTH), exact / OUTPUTS)
            rows.append((errors, references, error, *shares))
    table = pd.DataFrame(
        rows, columns=["errors", "references", "token_error", "rouge_l", "one_minus_error", "accuracy"]
    )
    table.insert(5, "departure", table["rouge_l"] - table["one_minus_error"])
    return table


def _wrong(errors: str, error: float, *, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    blocks = {"independent": LENGTH, "in runs": LENGTH // _RUN, "whole outputs": 1}[errors]
    return np.repeat(rng.random(blocks) < error, LENGTH // blocks)


def said_of_rouge(table: pd.DataFrame) -> str:
    """Say how far ROUGE-L lies from one minus the token error."""
    one, many = (table[table["references"] == n]["departure"].abs().max() for n in (1, table["references"].max()))
    return (
        f"ROUGE-L follows one minus the token error to within {one:.3f} with one reference, whether errors are independent or come together, and to "
        f"within {many:.3f} with {int(table['references'].max())} references: it is no sharper than token edit distance ({LENGTH} tokens, simulated)."
    )
