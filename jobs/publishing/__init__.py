"""What a run sees of a prefix, and how its tables are published."""
