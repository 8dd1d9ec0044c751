"""Scores of human raters: what numpy writes is read, and no other pickle does anything."""

from __future__ import annotations

import os
import pickle
import pickletools
import re
import subprocess
import tarfile

import numpy as np
import pandas as pd
import pytest

from bigbench_meta.errors import LoadError
from bigbench_meta.loader.human_raters import _INSTRUCTIONS, read_human_scores

SCORES = {
    "average": {
        "navigate": {"multiple_choice_grade": np.float64(81.5), "normalized_aggregate_score": np.float64(63.0)},
        "talkdown": {"macro_f1": np.float32(0.25)},
        "code": {"bleurt": np.float64(-0.5), "exact_str_match": np.int64(3)},
    },
    "expert": {"navigate": {"multiple_choice_grade": np.float64(100.0)}, "code": {"log10_p_dev": np.float64("nan")}},
}
SDIST = os.environ.get("BIGBENCH_SDIST", "")


@pytest.mark.parametrize("protocol", range(6))
def test_reads_what_numpy_writes(tmp_path, protocol):
    """Dicts of numpy scalars in every protocol; grade and exact match are brought to 0 to 1, other metrics are as they are."""
    path = tmp_path / "task_human_eval.pkl"
    path.write_bytes(pickle.dumps(SCORES, protocol=protocol))
    frame = read_human_scores(path)
    assert list(frame.columns) == ["task", "metric", "rater", "score"]
    assert frame.itertuples(index=False, name=None).__next__() == ("code", "bleurt", "average", -0.5)
    scores = frame.set_index(["task", "metric", "rater"])["score"]
    assert scores["code", "exact_str_match", "average"] == 0.03
    assert scores["navigate", "multiple_choice_grade", "average"] == 0.815
    assert scores["navigate", "multiple_choice_grade", "expert"] == 1.0
    assert scores["navigate", "normalized_aggregate_score", "average"] == 63.0
    assert scores["talkdown", "macro_f1", "average"] == 0.25
    assert np.isnan(scores["code", "log10_p_dev", "expert"])
    assert len(frame) == 7


@pytest.mark.parametrize("module", [b"numpy.core.multiarray", b"numpy._core.multiarray"])
def test_reads_the_module_names_of_every_numpy(tmp_path, module):
    """Since numpy 2 the scalar's module has another name; pickles of either are read, whichever is installed."""
    path = tmp_path / "old.pkl"
    content, replaced = re.subn(rb"cnumpy\._?core\.multiarray", b"c" + module, pickle.dumps(SCORES, protocol=2))
    assert replaced
    path.write_bytes(content)
    assert len(read_human_scores(path)) == 7


@pytest.mark.skipif(not SDIST, reason="BIGBENCH_SDIST does not name the archive bigbench-1.0.0.tar.gz")
def test_reads_the_published_file(tmp_path):
    """The file of bigbench 1.0.0: as an unrestricted unpickler reads it, grade and exact match divided by 100."""
    name = "bigbench-1.0.0/bigbench/benchmark_tasks/task_human_eval.pkl"
    with tarfile.open(SDIST) as archive:
        member = archive.extractfile(name)
        assert member is not None
        content = member.read()
    path = tmp_path / "task_human_eval.pkl"
    path.write_bytes(content)
    expected = {
        (task, metric, rater): float(score) / (100 if metric in {"multiple_choice_grade", "exact_str_match"} else 1)
        for rater, tasks in pickle.loads(content).items()
        for task, scores in tasks.items()
        for metric, score in scores.items()
    }
    frame = read_human_scores(path).set_index(["task", "metric", "rater"])["score"]
    assert len(expected) == 1728
    pd.testing.assert_series_equal(frame, pd.Series(expected).sort_index(), check_names=False, check_index_type=False)
    assert frame["navigate", "multiple_choice_grade", "average"] == pytest.approx(0.8191666666666667)


class Runs:
    """Runs a command when unpickled."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("function", [os.system, eval, exec, subprocess.check_output, np.load, print])
def test_nothing_runs(tmp_path, function, protocol):
    """A pickle that would run a command is refused by name and place, and the command does not run."""
    path, mark = tmp_path / "bad.pkl", tmp_path / "ran"
    command = f"touch {mark}" if function not in (eval, exec) else f"open({str(mark)!r}, 'w')"
    path.write_bytes(
        pickle.dumps({"average": {"navigate": {"multiple_choice_grade": Runs(function, command)}}}, protocol=protocol)
    )
    with pytest.raises(LoadError, match=r"bad\.pkl: .*Nothing in it was run"):
        read_human_scores(path)
    assert not mark.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage",
        pickle.dumps(SCORES)[:-9],
        pickle.dumps([1, 2]),
        pickle.dumps({}),
        pickle.dumps({"average": {}}),
        pickle.dumps({"average": {"navigate": np.float64(0.5)}}),  # a score without its metric
        pickle.dumps({"average": {"navigate": {"bleu": "high"}}}),
        pickle.dumps({"average": {"navigate": {"bleu": True}}}),
        pickle.dumps({"average": {3: {"bleu": 0.5}}}),
        pickle.dumps({"average": {"navigate": {"": 0.5}}}),
        pickle.dumps({"average": {"navigate": {"bleu": np.array([object()])}}}),
        pickle.dumps({"average": {"navigate": {"bleu": np.dtype("O").type}}}),
        pickle.dumps({"average": {"navigate": {"bleu": np.complex128(1)}}}),
        pickle.dumps({"average": {"navigate": {"bleu": np.float64(1)}}}, 2).replace(b"\0<", b"\0>"),  # big-endian
        pickle.dumps({"average": {"navigate": {"bleu": 1j}}}),
        b"\x80\x02}r\xff\xff\xff\x7f.",  # a memo of 2**31 places
        b"\x80\x04\x8d" + (2**62).to_bytes(8, "little") + b"x.",  # text said to be exabytes long
        b"cos\nsystem\n(S'true'\ntR.",
        b"(S'true'\nios\nsystem\n.",
        b"\x80\x02cnumpy\ndtype\n}X\x01\x00\x00\x00aK\x01sb.",  # sets attributes of what it was given
        b"(" * 200_000 + b".",
        pickle.dumps({"average": {"navigate": {"bleu": 10**500}}}),
        pickle.dumps({"average": {"navig\ud800": {"bleu": 1.0}}}),
        pickle.dumps({("a", "tuple"): {"navigate": {"bleu": 1.0}}}),
        pickle.dumps({"average": [0.5]}),
        pickle.dumps({"average": {"navigate": {"bleu": np.float64(1), "task": b"x"}}}),
        b"\x80\x02}X\x01\x00\x00\x00aL" + b"9" * 900_000 + b"L\ns.",  # digits without end
        b"\x80\x02" + b")" + b"\x85" * 500_000 + b"}h\x00K\x01s.",  # a tuple half a million deep as a key
        b"\x80\x02K\x01K\x02s.",  # a number filled as if it were a dict
        b"\x80\x02]}b.",  # attributes of a list
        b"\x80\x02cnumpy\ndtype\ncnumpy\ndtype\nR.",  # called with no arguments but a name
        b"\x80\x02c_codecs\nencode\n(K\x01K\x02tR.",  # text that is none
        b"\x80\x02K\x01K\x02\x93.",  # a name that is none
        b"\x80\x02cnumpy\ndtype\n)R.",  # the wrong number of arguments
        b"\x80\x02K\x01)R.",  # a number called as if it were a function
    ],
    ids=lambda content: content[:20].hex(),
)
def test_other_pickles_are_refused(tmp_path, content):
    """Cut off, of another shape, hungry for memory or calling by another route: one clear error."""
    path = tmp_path / "bad.pkl"
    path.write_bytes(content)
    with pytest.raises(LoadError, match=r"bad\.pkl: .*Nothing in it was run"):
        read_human_scores(path)


def nested(after: bytes) -> bytes:
    """A pickle of 40 lists, each of which holds the one before it ten times, and then other instructions."""
    lists = b"]q\x00K\x01a"
    for level in range(1, 40):
        lists += b"]q" + bytes([level]) + b"(" + (b"h" + bytes([level - 1])) * 10 + b"e"
    return b"\x80\x02" + lists + b"0" * 40 + after


def name(text: str) -> bytes:
    """The instruction that pushes a short text."""
    return b"X" + len(text).to_bytes(4, "little") + text.encode()


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "after",
    [
        b"}" + name("a") + b"}" + name("b") + b"h\x27ss.",
        b"}" + name("a") + b"}h\x27K\x01ss.",
        b"}h\x27}s.",
        b"cnumpy\ndtype\n(h\x27tR.",
        b"}" + name("a") + b"}" + name("b") + b"c_codecs\nencode\n(h\x27h\x27tRss.",
    ],
    ids=["score", "task", "rater", "dtype", "text"],
)
def test_lists_that_would_print_for_ever(tmp_path, after):
    """Ten to the 40th items in 900 bytes: named by their type, never written out or compared."""
    path = tmp_path / "bad.pkl"
    path.write_bytes(nested(after))
    with pytest.raises(LoadError, match=r"bad\.pkl: .*Nothing in it was run") as caught:
        read_human_scores(path)
    assert len(str(caught.value)) < 500 + len(str(path))


@pytest.mark.timeout(60)
def test_tuples_that_would_hash_for_ever(tmp_path):
    """A key made of tuples, each the one before it twice: 2 to the 60th items to hash, none is."""
    path = tmp_path / "bad.pkl"
    doubled = b"".join(b"h" + bytes([n]) + b"h" + bytes([n]) + b"\x86q" + bytes([n + 1]) for n in range(60))
    path.write_bytes(b"\x80\x02)q\x00" + doubled + b"0" * 61 + b"}" + b"h\x3cK\x01s.")
    with pytest.raises(LoadError, match=r"byte [0-9]+ uses a tuple otherwise than to call a function"):
        read_human_scores(path)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "made",
    [b"h\x00X\x01\x00\x00\x00ah\x01\x86q\x01R0", b"X\x01\x00\x00\x00a)\x86q\x01b"],
    ids=["handed to a function", "set as a state"],
)
def test_tuples_that_are_fetched_again(tmp_path, made):
    """A tuple that was legally used once is not fetched from the memo, where it could be put into others without end."""
    path = tmp_path / "bad.pkl"
    path.write_bytes(b"\x80\x02c_codecs\nencode\nq\x00" + made + b"h\x01.")
    with pytest.raises(LoadError, match=r"byte [0-9]+ (uses a tuple again|is the instruction POP)"):
        read_human_scores(path)


@pytest.mark.parametrize(
    "code", [each for each in pickletools.opcodes if each.name not in _INSTRUCTIONS], ids=lambda each: each.name
)
def test_every_other_instruction_is_refused(tmp_path, code):
    """Instances, extensions, persistent ids, sets, bytearrays, buffers, long texts: each is refused by its name."""
    argument = {"inst": b"os\nsystem\n", "persid": b"1\n", "obj": b""}.get(code.name.lower(), b"")
    if code.arg is not None and not argument:
        argument = b"\x01" + bytes({1: 0, 2: 1, 4: 3, 8: 7}.get(code.arg.n, 0)) if code.arg.n > 0 else b"\x00" * 8
    path = tmp_path / "bad.pkl"
    path.write_bytes(b"\x80\x05" + b"}(" + b"K\x01" * 3 + code.code.encode("latin-1") + argument + b"." * 4)
    with pytest.raises(LoadError, match=f"byte [0-9]+ is the instruction {code.name};"):
        read_human_scores(path)


def test_the_instructions_of_other_writers(tmp_path):
    """DICT, and a table that stands twice by way of the memo, which no writer of numpy scalars uses today."""
    path = tmp_path / "plain.pkl"
    path.write_bytes(
        b"(" + name("average") + b"(" + name("navigate") + b"(" + name("bleu") + b"F0.5\ndq\x00dq\x01"
        + name("expert") + b"h\x01d."
    )  # fmt: skip
    assert read_human_scores(path).to_dict("list") == {
        "task": ["navigate"] * 2, "metric": ["bleu"] * 2, "rater": ["average", "expert"], "score": [0.5] * 2
    }  # fmt: skip


def test_large_and_missing_files(tmp_path):
    """A file beyond the limit is not read, one that is not there is said not to be."""
    path = tmp_path / "large.pkl"
    path.write_bytes(b"\x80\x02" + b"N0" * 600_000 + b"}.")
    with pytest.raises(LoadError, match="larger than 1048576 bytes"):
        read_human_scores(path)
    with pytest.raises(LoadError, match="cannot be read"):
        read_human_scores(tmp_path / "none.pkl")


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    "more", [b"x", pickle.dumps({"average": {"b": {"bleu": 0.9}}})], ids=["a byte", "another pickle"]
)
def test_what_follows_the_end_is_not_passed_over(tmp_path, protocol, more):
    """A second pickle behind the first would not be read: refused with the byte of the end, the last of the first."""
    whole = pickle.dumps({"average": {"a": {"bleu": 0.5}}}, protocol)
    path = tmp_path / "two.pkl"
    path.write_bytes(whole + more)
    with pytest.raises(
        LoadError, match=rf"two\.pkl: its end is byte {len(whole) - 1}, and something follows that would not"
    ):
        read_human_scores(path)
    path.write_bytes(whole)
    assert read_human_scores(path)["score"].tolist() == [0.5]
