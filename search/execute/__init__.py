"""Ray adapters: thin translations of decide and training."""
