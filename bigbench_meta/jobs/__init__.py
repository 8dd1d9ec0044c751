"""Whole jobs: each takes a source or settings to an output folder. Only wiring; no statistics."""
