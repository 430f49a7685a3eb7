"""Readers that turn files, inline rows and Hugging Face datasets into `Row`s."""
