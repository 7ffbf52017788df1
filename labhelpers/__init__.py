"""Helpers of the lab on brain MRI synthesis, from T1-w to T2-w slices."""

__version__ = "0.1.0"
