"""Data, recipe, one training."""
