"""Tests, forecasts and intervals of single curves."""
