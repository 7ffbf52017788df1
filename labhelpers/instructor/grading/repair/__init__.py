"""Repair of submissions against what the gradebook holds."""
