"""lm-evaluation-harness: its tasks run by our runner, and our engine run by it."""
