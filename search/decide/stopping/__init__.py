"""Which training ends before its last epoch."""
