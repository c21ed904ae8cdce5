"""One page on a run, that opens offline."""
