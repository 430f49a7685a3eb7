"""Hugging Face checkpoints run here: causal, encoder-decoder, sequence classification and masked language models.

`backend` holds the four models and is what the registry names; it imports neither torch nor transformers, which are
loaded when a model is opened. `location`, `digests`, `dtypes` and `identity` know a checkpoint without loading it;
`loading` loads it; `tokens` turns prompts into token ids; `rows`, `scoring`, `rolling`, `masked`, `generation` and
`classification` compute; `memory` cuts the work into batches that fit.
"""
