"""Runs a plan: asks models, keeps every answer, scores, and hands over to the record."""
