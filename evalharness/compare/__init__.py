"""Two runs on the same samples: what may be compared, how samples pair, and how far the figures differ."""
