"""Honest analysis of emergent abilities on the public BIG-Bench results.

The public names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module

from bigbench_meta.errors import BigbenchMetaError

__version__ = "0.2.0"

# public name -> the module that defines it
_HOME = {
    "Analysis": "bigbench_meta.analysis",
    "analyze": "bigbench_meta.analysis",
    "check": "bigbench_meta.jobs.check",
    "claims": "bigbench_meta.facts.claims",
    "findings": "bigbench_meta.analysis.findings",
    "packaged_ladder": "bigbench_meta.experiments.ladder.packaged",
    "emergence_score": "bigbench_meta.emergence",
    "linearity": "bigbench_meta.emergence",
    "score_curves": "bigbench_meta.emergence",
    "Checkout": "bigbench_meta.fetcher",
    "fetch": "bigbench_meta.fetcher",
    "Results": "bigbench_meta.loader",
    "load_results": "bigbench_meta.loader",
    "metrics": "bigbench_meta.facts.metrics",
    "models": "bigbench_meta.facts.models",
    "run": "bigbench_meta.jobs.run",
    "shares": "bigbench_meta.analysis.tasks.shares",
    "simulate": "bigbench_meta.simulation.repository",
}
# public names that are modules
_MODULES = {"figures": "bigbench_meta.figures"}

__all__ = [
    "Analysis",
    "BigbenchMetaError",
    "Checkout",
    "Results",
    "__version__",
    "analyze",
    "check",
    "claims",
    "emergence_score",
    "fetch",
    "figures",
    "findings",
    "linearity",
    "load_results",
    "metrics",
    "models",
    "packaged_ladder",
    "run",
    "score_curves",
    "shares",
    "simulate",
]


def __getattr__(name: str) -> object:
    """Load a public name from its module on first use (PEP 562)."""
    if name in _MODULES:
        return import_module(_MODULES[name])
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
