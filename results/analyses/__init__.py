"""From records to frames: what a run, or several, can tell."""
