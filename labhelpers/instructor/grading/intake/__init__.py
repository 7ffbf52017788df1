"""Intake: take in what students handed in, and keep it in order."""
