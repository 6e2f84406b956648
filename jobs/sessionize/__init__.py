"""Playback events to sessions and the session fact table."""
