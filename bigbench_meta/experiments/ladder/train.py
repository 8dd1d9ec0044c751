"""Train one model of the ladder and let it answer the test items.

Randomness: the batches of a (task, seed) are the same for every width, the initial weights differ by (task, width,
seed). On one machine with one thread a model comes out the same to the bit; other processors may round differently.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from bigbench_meta.experiments.ladder.grid import RECIPE, Recipe
from bigbench_meta.experiments.ladder.task_items import VOCABULARY, decode, sequences, training_pairs
from bigbench_meta.experiments.ladder.transformer import Transformer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bigbench_meta.experiments.ladder.task_items import Item, Pair, Task

# Rows per forward pass when answering: bounds memory, changes nothing else.
_ROWS = 500
# Updates between two recorded values of the training loss.
LOSS_EVERY = 50


@dataclass(frozen=True)
class Trained:
    """A trained model and its training loss, in nats per character, averaged over each 50 updates."""

    model: Transformer
    losses: list[float]


@dataclass(frozen=True)
class Answer:
    """What a model said about one item.

    Attributes
    ----------
    output : str
        Greedy decoding, stopped at the end mark or at the longest target of the (sub)task.
    target_logprobs : list of float
        Natural log-probability of each character of the target, given the source and the characters before it.
    option_scores : list of float
        Sum of such log-probabilities over the characters of each option; empty where there are no options.
    """

    output: str
    target_logprobs: list[float]
    option_scores: list[float]


def train(task: Task, width: int, *, seed: int, recipe: Recipe = RECIPE) -> Trained:
    """Train one size of one task with one seed."""
    torch.manual_seed(int(np.random.SeedSequence([seed, task.number, width]).generate_state(1)[0]))
    batches = np.random.default_rng([seed, task.number])
    model = Transformer(width, recipe.depth)
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, recipe))
    positions = torch.from_numpy(task.positions)
    losses: list[float] = []
    recent = 0.0
    for step in range(1, recipe.steps + 1):
        pairs = training_pairs(task, rng=batches, n=recipe.batch)
        inputs, labels = sequences(task, [pair.source for pair in pairs], [pair.target for pair in pairs])
        logits = model(torch.from_numpy(inputs), positions)[:, task.source_slots :]
        loss = functional.cross_entropy(
            logits.reshape(-1, len(VOCABULARY)), torch.from_numpy(labels).reshape(-1), ignore_index=-100
        )
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
        optimiser.step()
        schedule.step()
        recent += loss.item()
        if step % LOSS_EVERY == 0:
            losses.append(recent / LOSS_EVERY)
            recent = 0.0
    return Trained(model.eval(), losses)


def _rate(step: int, recipe: Recipe) -> float:
    """Share of the peak rate at an update: up on a straight line, then down to zero at the end."""
    return min((step + 1) / recipe.warmup, (recipe.steps - step) / (recipe.steps - recipe.warmup))


def answer(model: Transformer, task: Task, items: Sequence[Item] | Sequence[Pair], *, longest: int) -> list[Answer]:
    """Let a model answer items.

    Parameters
    ----------
    model : Transformer
        A trained model.
    task : Task
        The task it was trained on.
    items : sequence of Item or Pair
        Pairs have no options.
    longest : int
        Longest answer allowed, in characters.
    """
    answers: list[Answer] = []
    for start in range(0, len(items), _ROWS):
        answers += _answer_some(model, task, items[start : start + _ROWS], longest=longest)
    return answers


def _answer_some(
    model: Transformer, task: Task, items: Sequence[Item] | Sequence[Pair], *, longest: int
) -> list[Answer]:
    sources = [item.source for item in items]
    targets, guesses = _log_likelihoods(model, task, sources, [item.target for item in items])
    outputs = greedy(model, task, sources, start=guesses)
    options = [getattr(item, "options", ()) for item in items]
    n_options = len(options[0])
    scores = [
        [sum(row) for row in _log_likelihoods(model, task, sources, [choices[k] for choices in options])[0]]
        for k in range(n_options)
    ]
    return [
        Answer(output[:longest], logprobs, [scores[k][i] for k in range(n_options)])
        for i, (output, logprobs) in enumerate(zip(outputs, targets, strict=True))
    ]


def _log_likelihoods(
    model: Transformer, task: Task, sources: Sequence[str], answers: Sequence[str]
) -> tuple[list[list[float]], NDArray[np.int64]]:
    """Return the log-probability of each character of the answers, and the likeliest token at each place."""
    inputs, labels = sequences(task, sources, answers)
    logits = _logits(model, task, inputs)
    logprobs = functional.log_softmax(logits, dim=-1)
    chosen = logprobs.gather(2, torch.from_numpy(np.where(labels < 0, 0, labels))[..., None])[..., 0]
    rows = chosen.double().tolist()
    return [row[: len(text)] for row, text in zip(rows, answers, strict=True)], logits.argmax(-1).numpy()


def greedy(model: Transformer, task: Task, sources: Sequence[str], *, start: NDArray[np.int64]) -> list[str]:
    """Return greedy decodings, from any starting guess of all their tokens.

    A guess whose every token is the model's choice given the tokens before it is the greedy decoding; replacing all
    tokens by the model's choices fixes at least one more place from the left each time, so it takes at most one pass
    per place, and two where answers do not depend on their own earlier characters.

    Parameters
    ----------
    model : Transformer
        A trained model.
    task : Task
        Its task.
    sources : sequence of str
        What to answer.
    start : array of int, shape (sources, target_slots + 1)
        The first guess.
    """
    inputs, _ = sequences(task, sources, [""] * len(sources))
    guesses = start.copy()
    open_rows = np.arange(len(sources))
    for _ in range(task.target_slots + 1):
        inputs[open_rows, task.source_slots + 1 :] = guesses[open_rows, :-1]
        chosen = _logits(model, task, inputs[open_rows]).argmax(-1).numpy()
        changed = (chosen != guesses[open_rows]).any(axis=1)
        guesses[open_rows] = chosen
        open_rows = open_rows[changed]
        if not open_rows.size:
            break
    return [decode(row) for row in guesses]


def _logits(model: Transformer, task: Task, inputs: NDArray[np.int64]) -> torch.Tensor:
    """Return the logits from the query mark on, shape (items, target_slots + 1, vocabulary)."""
    with torch.inference_mode():
        logits: torch.Tensor = model(torch.from_numpy(inputs), torch.from_numpy(task.positions))
    return logits[:, task.source_slots :]
