"""From result files to RESULTS: one package a format, and what all formats share."""

from bigbench_meta.loader.results import Results, is_table, load_results

__all__ = ["Results", "is_table", "load_results"]
