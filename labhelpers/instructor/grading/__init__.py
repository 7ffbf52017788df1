"""Grading: what decides points and never reaches a student's machine."""
