"""Kernels for resampling, intervals and counting: numpy and scipy only, pure, float64."""
