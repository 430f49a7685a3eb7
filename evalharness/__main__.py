"""`python -m evalharness`."""

import sys

from evalharness.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
