"""Analysis on a Dask cluster: the same bytes as in one process, also where a worker is killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# In a process of its own: a cluster's threads and another backend's pool do not go well together in one.
CLUSTER = """
import os, signal
import numpy as np
from distributed import Client, LocalCluster
from joblib import parallel_config
import bigbench_meta as bm
from bigbench_meta.experiments.ladder.packaged import packaged_items, packaged_ladder

def main():
    results = bm.load_results(bm.fetch(str(packaged_ladder())))
    def curves(**more):
        found = bm.analyze(results, rng=np.random.default_rng(1), draws=99, items=packaged_items(), every_metric=False, **more)
        return found.curves.to_csv()
    alone = curves(workers=1)
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
        parallel_config(backend="dask", client=client),
    ):
        victim = next(iter(client.run(os.getpid).values()))
        done = []
        def kill(*told):
            done.append(told[0])
            if len(done) == 5:
                os.kill(victim, signal.SIGKILL)
        shared = curves(progress=kill)
    print(shared == alone, len(done))

if __name__ == "__main__":
    main()
"""


@pytest.mark.slow
def test_a_cluster_gives_the_same_bytes(tmp_path):
    """Two workers, one of them killed after five curves: the table of one process."""
    script = tmp_path / "cluster.py"
    script.write_text(CLUSTER)
    done = subprocess.run(
        [sys.executable, str(script)], check=False, capture_output=True, text=True, timeout=280, cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    same, told = done.stdout.split()
    assert same == "True"
    assert int(told) > 5
