"""Simulated results repositories in the BIG-bench layout, with planted truth."""
