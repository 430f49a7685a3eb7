"""Backends behind the one `Model` protocol."""
