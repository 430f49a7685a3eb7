"""What every room shares: types, protocols, errors, the lazy registry, canonical hashing, atomic files."""
