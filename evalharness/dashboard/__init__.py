"""The web application over the registry."""
