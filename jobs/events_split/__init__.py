"""Raw lines to typed, deduplicated staging tables, with an account of every line."""
