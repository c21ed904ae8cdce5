"""What a run keeps: Optuna's study, the run's folder, databases."""
