"""Product events from raw lines to typed tables, sessions and weekly conversion."""
