"""Bridges to other tools: lm-eval, huggingface/evaluate, pytest, OpenTelemetry."""
