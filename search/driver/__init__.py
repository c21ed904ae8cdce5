"""One run's life: prepared, driven, recorded, shown."""
