"""The tables that a run sees at a prefix, and how it publishes its own."""
