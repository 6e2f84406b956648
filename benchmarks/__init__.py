"""How fast and how small the pipeline is, beside what a good engineer would write."""
