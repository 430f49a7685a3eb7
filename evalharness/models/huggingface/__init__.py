"""Hugging Face checkpoints: loading, identity, batching."""
