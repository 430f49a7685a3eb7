"""What is evaluated: the schema of a suite, the loader of its YAML, its templates and its plan of requests."""
