"""Shared fixtures, and the guard that keeps tests on real data from being skipped in silence."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from git_server import make_clone
from hypothesis import HealthCheck, Phase, settings

# A machine that is busy is not a slow function; tests that hang are ended by pytest-timeout.
settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=200)
# As many as there is time for before a release: docs/testing.md.
settings.register_profile("long", settings.get_profile("busy machine"), max_examples=4_000)
# For mutation testing, where a failure alone counts: few examples, always the same, and no search for a smaller one.
settings.register_profile(
    "mutation",
    settings.get_profile("busy machine"),
    max_examples=25,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
)
settings.load_profile("busy machine")

# Figures are compared byte for byte: neither the settings of whoever runs the tests may count, nor the list of fonts that
# Matplotlib keeps for all environments of a user (one of them deleted while it is made, and the list lacks Matplotlib's own
# fonts from then on). The first process chooses the folder, the others inherit it.
if "PYTEST_XDIST_WORKER" not in os.environ:
    _MATPLOTLIB = tempfile.TemporaryDirectory(prefix="matplotlib-")
    os.environ["MPLCONFIGDIR"] = _MATPLOTLIB.name

pytest_plugins = ["hand_made"]  # tables of the package's own shapes, for all tests of what shows them

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of published data beside the project; tests that need it are marked ``real``."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the published data folder ../shared/data is not there")
    return SHARED_DATA


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A clone with one score file."""
    return make_clone(tmp_path / "clone")


@pytest.fixture(scope="session", autouse=True)
def _cache_of_this_run(tmp_path_factory: pytest.TempPathFactory):
    """Keep tests out of the user's cache, and what they cache out of later runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BIGBENCH_META_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    """Where the published data exists, a skipped test on it is a failure."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and "real" in item.keywords and SHARED_DATA.is_dir() and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped although {SHARED_DATA} exists"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter):
    """Print what loops counted, also where the tests ran in several processes, whose own output is lost."""
    counted = {
        (report.nodeid, text)
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, text in getattr(report, "user_properties", ())
        if name == "counted"
    }
    if counted:
        terminalreporter.section("what was counted")
        for _, text in sorted(counted):
            terminalreporter.write_line(text)
