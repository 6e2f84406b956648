"""Unpacks event files, cuts them into lines, and reads lines exactly."""
