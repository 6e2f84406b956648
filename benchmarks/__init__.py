"""Measures the pipeline beside programs that a good engineer would write."""
