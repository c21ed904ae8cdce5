"""Benchmarks: what is compared runs in turns in one process, and what is said is a ratio."""
