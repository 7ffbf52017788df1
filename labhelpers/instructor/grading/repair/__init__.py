"""Repair: restore a submitted notebook against the release."""
