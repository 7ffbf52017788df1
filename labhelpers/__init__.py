"""Helpers of the lab on brain MRI synthesis, from T1-w to T2-w slices."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("labhelpers")
except PackageNotFoundError:  # a copy of the folder that was never installed
    __version__ = "unknown"
