"""lm-eval leaves the process as it was."""

import logging
import random
import sys
import warnings

import numpy as np

from evalharness.integrations.lm_eval.quiet import compiled_templates, quiet, seeded


def test_log_bars_and_streams_are_silent_and_put_back(capsys):
    from lm_eval import utils  # noqa: F401 - sets its log up

    log = logging.getLogger("lm_eval")
    before = log.level
    with quiet():
        log.getChild("api").warning("not to be seen")
        print("nor this")
        print("nor this", file=sys.stderr)
        warnings.warn("nor that", stacklevel=1)
    assert log.level == before
    assert capsys.readouterr() == ("", "")


def test_global_seeds_are_put_back():
    random.seed(5)
    np.random.seed(5)
    expected = random.random(), np.random.random()
    random.seed(5)
    np.random.seed(5)
    with seeded():
        first = random.random(), np.random.random()
    assert (random.random(), np.random.random()) == expected
    with seeded():
        assert (random.random(), np.random.random()) == first


def test_templates_are_compiled_once():
    from lm_eval import utils

    compiled = []
    compile_ = utils.env.compile
    utils.env.compile = lambda *args, **options: compiled.append(args) or compile_(*args, **options)
    try:
        with compiled_templates(), compiled_templates():
            assert [utils.apply_template("{{ a }}!", {"a": n}) for n in range(3)] == ["0!", "1!", "2!"]
        assert len(compiled) == 1
        assert utils.apply_template("{{ a }}!", {"a": 3}) == "3!"
        assert len(compiled) == 2
    finally:
        del utils.env.compile
