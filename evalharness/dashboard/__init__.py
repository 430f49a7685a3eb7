"""The web application over the registry: it reads what was recorded, asks no model, and runs nothing."""
