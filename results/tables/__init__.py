"""Frames as text, CSV, JSON, parquet and LaTeX."""
