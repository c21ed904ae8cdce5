"""The command leni-search."""
