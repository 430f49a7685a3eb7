"""lm-evaluation-harness: its tasks run by our runner, and our engine run by it.

Importing this package registers the model `evalharness` with lm-eval, where that is installed.
"""

from importlib.util import find_spec as _find_spec

from .register import register as _register

if _find_spec("lm_eval") is not None:
    _register()
