"""Experiments: trainings to compare recipes, and benchmarks."""
