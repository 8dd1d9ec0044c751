"""The benchmarks run, and a gross loss of speed is seen: ratios of processor time in one process, no absolute time."""

from __future__ import annotations

from benchmarks.load import GROSS, gross_ratio
from bigbench_meta.loader import results


def test_loading_is_not_grossly_slower():
    """A load costs less than twice what it did when the limit was set, in units of decoding the same bytes."""
    assert gross_ratio() < GROSS


def test_a_loader_three_times_slower_is_seen(monkeypatch):
    """The limit would catch a loader that does everything three times."""
    read = results._read

    def three_times(*given):
        for _ in range(2):
            read(*given)
        return read(*given)

    monkeypatch.setattr(results, "_read", three_times)
    assert gross_ratio(pairs=3) > GROSS
