"""Authoring: the numbers and the mistakes that the checks know."""
