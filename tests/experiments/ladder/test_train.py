"""The ladder's models: what they compute, and that a small one comes out as the shipped one did."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")

from bigbench_meta.experiments.ladder import train as training  # noqa: E402
from bigbench_meta.experiments.ladder.catalog import TASKS  # noqa: E402
from bigbench_meta.experiments.ladder.grid import Recipe, embedding_params, non_embedding_params  # noqa: E402
from bigbench_meta.experiments.ladder.task_items import (  # noqa: E402
    CONTEXT,
    END,
    VOCABULARY,
    Pair,
    encode,
    evaluation_items,
)
from bigbench_meta.experiments.ladder.transformer import Transformer  # noqa: E402

pytestmark = pytest.mark.train


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("width", "depth"), [(4, 2), (16, 2), (24, 3), (64, 2)])
def test_parameters_are_counted_as_torch_counts_them(width, depth):
    """The formulas of the grid give the numbers of parameters that the model has."""
    model = Transformer(width, depth)
    total = sum(tensor.numel() for tensor in model.parameters())
    outer = sum(layer.weight.numel() for layer in (model.tokens, model.positions, model.unembed))
    assert total - outer == non_embedding_params(width, depth)
    assert outer == embedding_params(width, vocabulary=len(VOCABULARY), context=CONTEXT)


@pytest.mark.parametrize("name", TASKS)
def test_a_prediction_does_not_see_what_it_predicts(name):
    """Changing an answer's last character changes no logit before it."""
    task = TASKS[name]
    torch.manual_seed(0)
    model = Transformer(8, 2)
    inputs = torch.randint(len(VOCABULARY), (3, task.source_slots + 1 + task.target_slots))
    changed = inputs.clone()
    changed[:, -1] = (changed[:, -1] + 1) % len(VOCABULARY)
    positions = torch.from_numpy(task.positions)
    with torch.inference_mode():
        assert torch.equal(model(inputs, positions)[:, :-1], model(changed, positions)[:, :-1])


def _step_by_step(model, task, source, longest):
    """Greedy decoding, one character at a time, with the log-probability of each: the plain way."""
    text = ""
    while len(text) < longest:
        inputs = np.concatenate([encode([source], task.source_slots), encode(["="], 1), encode([text], len(text))], 1)
        with torch.inference_mode():
            logits = model(torch.from_numpy(inputs), torch.from_numpy(task.positions[: inputs.shape[1]]))[0, -1]
        character = VOCABULARY[int(logits.argmax())]
        if character == END:
            break
        text += character
    return text


@pytest.mark.parametrize("name", TASKS)
def test_a_model_learns_by_heart_and_answers_as_step_by_step_decoding_does(name, monkeypatch):
    """Sixteen pairs shown again and again are answered right; all outputs equal one-at-a-time decoding."""
    task = TASKS[name]
    pairs = task.draw(np.random.default_rng(1), 16, None)
    monkeypatch.setattr(training, "training_pairs", lambda *_args, **_kwargs: pairs)
    model = training.train(task, 24, seed=0, recipe=Recipe(steps=250, batch=16)).model
    answers = training.answer(model, task, pairs, longest=task.target_slots)
    assert [said.output for said in answers] == [pair.target for pair in pairs]
    assert all(min(said.target_logprobs) > np.log(0.5) for said in answers)
    others = evaluation_items(task, task.lengths[-1] if task.lengths else None, n=30)[:30]
    outputs = [said.output for said in training.answer(model, task, others, longest=task.target_slots)]
    assert outputs == [_step_by_step(model, task, item.source, task.target_slots) for item in others]


def test_option_scores_are_sums_of_conditional_log_probabilities():
    """The score of an option equals the chain rule, one character at a time; the target's own parts add up to it."""
    task = TASKS["four_digit_addition"]
    torch.manual_seed(0)
    model = Transformer(8, 2)
    items = evaluation_items(task, None, n=3)
    for item, said in zip(items, training.answer(model, task, items, longest=5), strict=True):
        for option, score in zip(item.options, said.option_scores, strict=True):
            expected = 0.0
            for place, character in enumerate(option):
                inputs = encode([item.source + "=" + option[:place]], task.source_slots + 1 + place)
                with torch.inference_mode():
                    logits = model(torch.from_numpy(inputs), torch.arange(inputs.shape[1]))[0, -1]
                expected += float(torch.log_softmax(logits.double(), 0)[VOCABULARY.index(character)])
            assert score == pytest.approx(expected, abs=1e-5)
        assert sum(said.target_logprobs) == pytest.approx(said.option_scores[item.options.index(item.target)], abs=1e-5)


def test_pairs_without_options_are_answered():
    """A plain pair has no option scores."""
    torch.manual_seed(0)
    task = TASKS["two_digit_multiplication"]
    (said,) = training.answer(Transformer(4, 2), task, [Pair("12*12", "144")], longest=4)
    assert said.option_scores == []
    assert len(said.target_logprobs) == 3
    assert len(said.output) <= 4
