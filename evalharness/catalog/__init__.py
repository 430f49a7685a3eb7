"""Real models and data that packages carry, fetched once into the user's cache."""
