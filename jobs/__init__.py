"""Product events from raw lines to typed tables, sessions and weekly conversion."""

__version__ = "0.2.0"
