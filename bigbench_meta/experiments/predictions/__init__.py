"""The three predictions of the source paper, tested on fixed outputs."""
