"""Packaged facts with their sources: metrics, claims and preferred metrics."""
