"""The mathematical model of the source paper: one smooth per-token curve under several metrics."""
