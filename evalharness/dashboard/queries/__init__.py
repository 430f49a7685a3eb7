"""What the pages and the JSON interface show, read from the registry by one statement or a few each."""
