"""The sealed run, and the registry of runs and baselines."""
