from hypothesis import settings

# The first example pays for imports: a deadline would blame the code for them.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")
