"""Statements over many tasks: concentration, metric swaps, claims, target lengths."""
