"""The drift tests, one module a family."""
