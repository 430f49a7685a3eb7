"""evalharness: decide whether to ship a language model, then watch it in production."""
