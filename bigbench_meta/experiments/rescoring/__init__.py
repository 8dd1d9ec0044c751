"""Fixed model outputs, scored again under other metrics."""
