"""What the pruner learned keeps by default, where reading it imports nothing else."""

__all__ = ["KEEP"]

KEEP = 0.995
"""Fraction of the hypervolume that pruning is to keep, by the pruner's own estimate."""
