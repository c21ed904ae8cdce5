"""Pure decisions: no Ray, no files, no training."""
