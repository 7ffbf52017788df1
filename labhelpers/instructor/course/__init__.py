"""The course: nbgrader, the released versions, samples, validation."""
