"""Registrations and app loads to weekly conversion and retention."""
