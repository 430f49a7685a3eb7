"""Hugging Face checkpoints run here: causal, encoder-decoder, sequence classification and masked language models.

`backend` holds the four models over `base` and is what the registry names; it imports neither torch nor transformers,
which are loaded when a model is opened. `location`, `digests`, `hardware`, `architecture` and `identity` know a
checkpoint without loading it; `loading` loads it. `tokens` turns prompts into token ids; `plans` and `rolling` cut
likelihood requests into rows, which `rows`, `scoring` and `head` compute; `generation` and `classifier` do the rest;
`memory` cuts all work into batches that fit; `replicas` deals it out to copies on several GPUs.
"""
