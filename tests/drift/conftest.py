import sys
from pathlib import Path

from hypothesis import settings

# windows.py, the helper beside these tests.
sys.path.insert(0, str(Path(__file__).parent))

settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")
