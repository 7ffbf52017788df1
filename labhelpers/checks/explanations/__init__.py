"""What is wrong with an answer, read off what it does: one module for each kind of exercise."""
