"""A virtual clock drives the same decisions over a table of recorded results."""
