"""What trains again from a finished run: confirmation, ablation, inspection."""
