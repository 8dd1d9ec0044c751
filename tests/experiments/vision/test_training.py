"""Training: agrees with what is shipped, goes on after a kill, and runs on every image set by the same code."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bigbench_meta.experiments import vision
from bigbench_meta.experiments.vision import training
from bigbench_meta.experiments.vision.datasets import ImageSet
from bigbench_meta.experiments.vision.training import fingerprint, read_finished
from bigbench_meta.experiments.vision.training_plan import Job, split

pytestmark = pytest.mark.train

# Processes started here find the package and this file, wherever they are started.
_HERE = Path(__file__).resolve()
FINDABLE = {**os.environ, "PYTHONPATH": os.pathsep.join([str(_HERE.parents[3]), str(_HERE.parents[2])])}

QUICK = vision.Plan(
    trials=2,
    steps={"autoencoder": 4, "lenet": 4, "transformer": 4},
    sizes={"autoencoder": (1, 3), "lenet": (2, 4), "transformer": (2, 4)},
)


def patterned(n: int = 60, *, side: int = 8, channels: int = 1) -> ImageSet:
    """Images whose class is a bright row, easy to learn."""
    rng = np.random.default_rng(5)
    labels = np.arange(n) % 4
    images = rng.integers(0, 60, (n, channels, side, side)).astype(np.uint8)
    images[np.arange(n), :, labels] = 250
    return ImageSet("patterned", images, labels.astype(np.int64), 255)


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


@pytest.mark.parametrize(
    ("experiment", "size", "metrics"),
    [
        ("autoencoder", 10, ["mean_squared_error", "reconstruction_c=1.27"]),
        ("lenet", 12, ["accuracy", "log_likelihood"]),
        ("transformer", 6, ["accuracy", "sequence_accuracy_5"]),
    ],
)
def test_one_size_trained_again_agrees_with_what_is_shipped(torch, tmp_path, experiment, size, metrics):
    """Two new seeds fall among the five shipped ones, give or take the distance between the outermost of them."""
    from bigbench_meta.experiments.vision.models import train_model
    from bigbench_meta.experiments.vision.outcomes_table import Finished, results_frame

    images, plan = vision.load_images("digits"), vision.Plan()
    parts = split(images, plan)
    new = []
    for trial in (5, 6):
        job = Job(experiment, size, trial)
        new.append(Finished(job, *train_model(images, job, plan=plan, parts=parts)))
    frame = results_frame(new, images, plan=plan, anchors={experiment: size})
    shipped = vision.shipped()
    for metric in metrics:
        if metric.startswith("reconstruction"):
            found = [float(np.mean(item.arrays["test_error"] < 1.27)) for item in new]
        else:
            found = frame.loc[frame["metric"] == metric, "score"].tolist()
        old = shipped.loc[(shipped["model"] == f"{experiment}-{size}") & (shipped["metric"] == metric), "score"]
        spread = max(old.max() - old.min(), 1 / 143)
        assert len(old) == 5
        assert old.min() - spread <= np.mean(found) <= old.max() + spread, metric


def test_a_shipped_trial_is_reproduced(torch):
    """The same seed gives the shipped number again: exactly here, to a few images with another PyTorch."""
    from bigbench_meta.experiments.vision.models import train_model

    images, plan = vision.load_images("digits"), vision.Plan()
    assert images.digest == vision.shipped_provenance()["images"]["sha256"]
    again = train_model(images, Job("lenet", 12, 0), plan=plan, parts=split(images, plan))
    shipped = vision.shipped()
    rows = shipped[(shipped["model"] == "lenet-12") & (shipped["trial"] == 0) & (shipped["metric"] == "accuracy")]
    assert again.arrays["correct"].mean() == pytest.approx(rows["score"].item(), abs=0.02)
    assert again.parameters == rows["total_params"].item()


def test_models_learn_a_pattern_that_can_be_learnt(torch, tmp_path):
    """Enough steps on easy images: far above chance, and the wider autoencoder errs less."""
    images = patterned(200)
    plan = replace(
        QUICK,
        steps={"autoencoder": 150, "lenet": 150, "transformer": 150},
        sizes={"autoencoder": (1, 16), "lenet": (16,), "transformer": (16,)},
        trials=1,
    )
    frame = vision.train(images, tmp_path, plan=plan).frame
    score = frame.set_index(["model", "metric"])["score"]
    assert score["lenet-16", "accuracy"] > 0.9
    assert score["transformer-16", "accuracy"] > 0.9
    assert score["autoencoder-16", "mean_squared_error"] < score["autoencoder-1", "mean_squared_error"]


def test_a_label_is_not_seen_before_it_is_asked_for(torch):
    """Changing the labels from position i on changes no logits up to and including i."""
    from bigbench_meta.experiments.vision.models import next_labels, transformer

    torch.manual_seed(0)
    parts = transformer(16, 4, 8)
    images, labels = torch.rand(3, 5, 16), torch.zeros(3, 5, dtype=torch.int64)
    before = next_labels(parts, images, labels)
    for i in range(5):
        changed = labels.clone()
        changed[:, i:] = 3
        after = next_labels(parts, images, changed)
        assert torch.equal(before[:, : i + 1], after[:, : i + 1])
        if i < 4:
            assert not torch.equal(before[:, i + 1 :], after[:, i + 1 :])


def test_two_processes_give_the_same_rows_as_one(torch, tmp_path):
    """Every model has its own seed and one thread, so the order of training does not matter."""
    images = patterned()
    one = vision.train(images, tmp_path / "one", plan=QUICK, experiments=["lenet", "autoencoder"]).frame
    two = vision.train(images, tmp_path / "two", plan=QUICK, experiments=["lenet", "autoencoder"], jobs=2).frame
    assert one.astype(str).equals(two.astype(str))


def test_without_room_for_semaphores_one_process_trains(monkeypatch, caplog):
    """Where no other process can be started the work is done here, with a word; it has no influence on the numbers."""

    def refused(*_arguments, **_settings):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(training, "ProcessPoolExecutor", refused)
    with training._pool(None, 2) as pool:
        assert pool is None
    assert "all models are trained in this process: no other can be started: [Errno 30]" in caplog.text


def test_a_ladder_too_coarse_gets_finer(torch, tmp_path):
    """From two sizes the autoencoders' ladder grows inside the rise, and the provenance names the added sizes."""
    plan = replace(QUICK, trials=1, sizes={"autoencoder": (1, 32)}, steps={"autoencoder": 100})
    trained = vision.train(patterned(), tmp_path, plan=plan, experiments=["autoencoder"])
    facts = trained.provenance["ladders"]["autoencoder"]
    assert facts["started_from"] == [1, 32]
    assert facts["added"][0] == [6]  # the rounded root of 32
    assert facts["anchor"] == 1
    assert trained.frame["scale"].nunique() >= 3


def test_finished_models_are_used_again_and_others_are_not(torch, tmp_path, caplog):
    """A whole file of the same run is kept; one of another plan, damaged or cut is trained again with a word."""
    images = patterned()
    first = vision.train(images, tmp_path, plan=QUICK, experiments=["lenet"]).frame
    paths = sorted(tmp_path.glob("lenet-*.npz"))
    before = [path.stat().st_mtime_ns for path in paths]
    again = vision.train(images, tmp_path, plan=QUICK, experiments=["lenet"]).frame
    assert first.astype(str).equals(again.astype(str))
    assert [path.stat().st_mtime_ns for path in paths] == before

    whole = paths[0].read_bytes()
    damages = [b"", whole[:100], whole[:-30], b"PK" + bytes(200), whole[:80] + bytes(20) + whole[100:]]
    expected = fingerprint(images, QUICK)
    for damage in damages:
        paths[0].write_bytes(damage)
        caplog.clear()
        assert read_finished(tmp_path, Job("lenet", 2, 0), expected=expected) is None
        assert "trained again" in caplog.text
    repaired = vision.train(images, tmp_path, plan=QUICK, experiments=["lenet"]).frame
    assert first.astype(str).equals(repaired.astype(str))
    assert paths[0].read_bytes() == whole

    caplog.clear()
    assert read_finished(tmp_path, Job("lenet", 2, 0), expected=fingerprint(images, replace(QUICK, seed=1))) is None
    assert "other images, settings" in caplog.text


def test_a_killed_run_goes_on_and_ends_with_the_same_rows(torch, tmp_path):
    """Kill -9 at three drawn times inside the training; what remains is whole, and the last run completes it."""
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from test_vision_training import QUICK, patterned\n"
        "from bigbench_meta.experiments import vision\n"
        "from dataclasses import replace\n"
        "print('ready', flush=True)\n"
        "vision.train(patterned(), Path(sys.argv[1]), plan=replace(QUICK, trials=20, steps={**QUICK.steps, 'lenet': 40}),"
        " experiments=['lenet'])\n"
    )
    folder, rng = tmp_path / "killed", np.random.default_rng(11)
    counts = []
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True, env=FINDABLE
        )
        assert process.stdout is not None
        process.stdout.readline()
        had = len(list(folder.glob("*.npz"))) if folder.exists() else 0
        while process.poll() is None and (not folder.exists() or len(list(folder.glob("*.npz"))) == had):
            time.sleep(0.01)  # PyTorch is loading: a kill here would test nothing
        time.sleep(rng.uniform(0, 0.5))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        counts.append(len(list(folder.glob("*.npz"))))
    assert counts[0] < 40
    print(f"models finished when killed: {counts}")  # noqa: T201
    plan = replace(QUICK, trials=20, steps={**QUICK.steps, "lenet": 40})
    resumed = vision.train(patterned(), folder, plan=plan, experiments=["lenet"]).frame
    undisturbed = vision.train(patterned(), tmp_path / "whole", plan=plan, experiments=["lenet"]).frame
    assert resumed.astype(str).equals(undisturbed.astype(str))


def test_killing_a_run_ends_its_processes(torch, tmp_path):
    """Kill -9 of a run with two processes: they notice within seconds and end, too."""
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from test_vision_training import QUICK, patterned\n"
        "from bigbench_meta.experiments import vision\n"
        "from dataclasses import replace\n"
        "if __name__ == '__main__':\n"
        "    vision.train(patterned(), Path(sys.argv[1]), plan=replace(QUICK, trials=500), experiments=['lenet'], jobs=2)\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    folder = tmp_path / "models"
    process = subprocess.Popen([sys.executable, str(script), str(folder)], env=FINDABLE)
    while process.poll() is None and not list(folder.glob("*.npz")):
        time.sleep(0.1)
    children = [int(word) for word in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    assert len(children) >= 2
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{child}").exists() for child in children) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [child for child in children if Path(f"/proc/{child}").exists()]


@pytest.mark.parametrize(("side", "channels"), [(28, 1), (32, 3)])
def test_other_image_sizes_run_by_the_same_code(torch, tmp_path, side, channels):
    """Images the size of MNIST, Omniglot and CIFAR-100: all three experiments give finite scores."""
    plan = replace(QUICK, trials=1)
    frame = vision.train(patterned(side=side, channels=channels), tmp_path, plan=plan).frame
    assert set(frame["family"].astype(str)) == set(vision.EXPERIMENTS)
    assert np.isfinite(frame["score"]).all()
    assert set(frame["task"].astype(str)) == {
        f"patterned_{w}" for w in ("reconstruction", "classification", "sequences")
    }
