"""The probes: which cases an answer is tried on, by kind of exercise."""
