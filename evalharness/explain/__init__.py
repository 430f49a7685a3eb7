"""Explanations of single responses, and measures of how faithful they are."""
