"""Scheduled production monitoring."""
