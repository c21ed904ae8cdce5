"""Pure numbers: tests, intervals, power. Arrays in, numbers out."""
