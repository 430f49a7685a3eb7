"""Metrics in the one shape: additive statistics a sample, a pure function of their totals."""
