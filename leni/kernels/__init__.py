"""LENI's default form as one torch operator: the formula in reference.py, and the faster paths that equal it."""

from leni.kernels.operator import leni_forward, path

__all__ = ["leni_forward", "path"]
