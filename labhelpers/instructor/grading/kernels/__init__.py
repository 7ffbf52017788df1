"""Kernels: run a submission in the sandbox, within limits."""
