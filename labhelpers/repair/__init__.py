"""Repair: restore a notebook against the release."""
