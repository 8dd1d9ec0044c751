"""The same numbers whatever linear algebra library is used: on other machines 1e-12, with other threads the same bytes.

OpenBLAS has a set of routines for each kind of processor, which add in different orders, and takes the set that it is told
to. So a machine with recent instructions can play older ones.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import platform
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bigbench_meta.analysis.pipeline import DRAW_LIMIT

# Analyse some tasks of the packaged experiment and hand over all tables and the names of the sets of routines in use.
SCRIPT = """
import ctypes, pickle, sys
from dataclasses import fields
import numpy as np
import bigbench_meta as bm
from bigbench_meta.experiments.ladder.packaged import packaged_items, packaged_ladder, packaged_lengths
tests = sys.path.pop(0)
tasks, draws, draw_limit = map(int, sys.argv[1:])
results = bm.load_results(str(packaged_ladder()), use_cache=False)
frame = results.frame[results.frame["task"].isin(sorted(results.frame["task"].unique())[:tasks])]
found = bm.analyze(
    frame, rng=np.random.default_rng(0), draws=draws, draw_limit=draw_limit, items=packaged_items(), lengths=packaged_lengths()
)
sys.path.insert(0, tests)
from test_blas import routines
pickle.dump((routines(), {each.name: getattr(found, each.name) for each in fields(found)}), sys.stdout.buffer)
"""
# Routines of a processor with AVX2, with AVX-512, with neither, and of one from 2004.
PROCESSORS = ("Haswell", "SkylakeX", "Nehalem", "Prescott")


def routines():
    """The set of routines that each OpenBLAS in this process uses."""
    import scipy.linalg  # noqa: F401 - SciPy brings a copy of its own

    paths = re.findall(r"/\S*openblas\S*\.so\S*", Path("/proc/self/maps").read_text())
    names = []
    for path in sorted(set(paths)):
        library = ctypes.CDLL(path)
        ends = ("", "64_", "_64", "64")
        symbols = [f"{start}openblas_get_corename{end}" for start in ("scipy_", "") for end in ends]
        for symbol in [each for each in symbols if hasattr(library, each)][:1]:
            function = getattr(library, symbol)
            function.restype = ctypes.c_char_p
            names.append(function().decode())
    return names


def analysed(processor, *, threads, tasks, draws, draw_limit):
    """Tables of an analysis in a process of its own, and the routines that it used."""
    setting = {"OPENBLAS_CORETYPE": processor, "OPENBLAS_NUM_THREADS": str(threads)}
    places = [str(Path(__file__).parent), str(Path.cwd())]
    code = f"import sys; sys.path[:0] = {places!r}\n{SCRIPT}"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *map(str, (tasks, draws, draw_limit))],
        check=True,
        capture_output=True,
        env={**os.environ, **setting},
        timeout=600,
    )
    return pickle.loads(done.stdout)


def assert_same(one, other):
    """All words, counts and flags are equal; numbers agree to 1e-12 of the larger."""
    assert set(one) == set(other)
    for name, table in one.items():
        if name == "settings":
            assert table == other[name]
            continue
        assert list(table.columns) == list(other[name].columns)
        for column in table:
            here, there = table[column], other[name][column]
            if here.dtype == np.float64:
                np.testing.assert_allclose(here, there, rtol=1e-12, atol=0, err_msg=f"{name}: {column}")
            else:
                assert here.astype(str).tolist() == there.astype(str).tolist(), f"{name}: {column}"


needs_openblas = pytest.mark.skipif(
    platform.machine() != "x86_64" or not Path("/proc/self/maps").exists() or not routines(),
    reason="the routines of other processors can be had with OpenBLAS on Linux on x86-64",
)


@needs_openblas
def test_some_tasks_on_an_older_processor():
    """Two tasks: with older routines the same words, and numbers to 1e-12."""
    few = {"threads": 1, "tasks": 2, "draws": 19, "draw_limit": 19}
    (recent, one), (old, other) = (analysed(processor, **few) for processor in ("Haswell", "Nehalem"))
    assert set(recent).isdisjoint(old)
    assert_same(one, other)


@needs_openblas
@pytest.mark.slow
def test_the_packaged_experiment_on_every_processor():
    """The whole packaged experiment: routines of four kinds of processor agree to 1e-12, threads do not matter at all."""
    used, found = {}, {}
    for processor in PROCESSORS:
        for threads in (1, 2):
            whole = {"threads": threads, "tasks": 99, "draws": 99, "draw_limit": DRAW_LIMIT}
            names, found[processor, threads] = analysed(processor, **whole)
            used[processor] = set(names)
        assert pickle.dumps(found[processor, 1]) == pickle.dumps(found[processor, 2])
        assert_same(found[PROCESSORS[0], 1], found[processor, 1])
    assert len(set.union(*used.values())) == len(PROCESSORS)
