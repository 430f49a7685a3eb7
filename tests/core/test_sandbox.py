"""Templates: what they give, what they say when they cannot, and that none can hang, fill memory or reach Python."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.core.errors import UsageError
from evalharness.core.templating import Condition, Template

FIELDS: dict[str, Any] = {"x": "ab<c", "m": {"a": 1, "items": [1, 2], "n": None}, "l": [1, 2], "none": None, "k": "B"}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ x }}", "ab<c"),
        ("Q: {{ x }}\nA:", "Q: ab<c\nA:"),
        ("line\n", "line"),
        ("line\n\n", "line\n"),
        ("{{ l }}", [1, 2]),
        (" {{ l }} \n", [1, 2]),
        ("{{ l }}!", "[1, 2]!"),
        ("{{ m }}", FIELDS["m"]),
        ("{{ m.items }}", [1, 2]),
        ("{{ m.items | length }}", 2),
        ("{{ m.keys() | list }}", ["a", "items", "n"]),
        ("{{ none }}", None),
        ("{{ none or 'x' }}", "x"),
        ("{{ 1 + 1 }}", 2),
        ("{{ 7 // 2 }}{{ 2 ** 3 }}", "38"),
        ("{{ x ~ l ~ 1 }}", "ab<c[1, 2]1"),
        ("{{ 'ABC'.index(k) }}", 1),
        ("{{ range(3) }}", [0, 1, 2]),
        ("{{ l | map('string') }}", ["1", "2"]),
        ("{{ (1, 2) }}", [1, 2]),
        ("{{ x | tojson }}", '"ab<c"'),
        ("{{ {'é': '<&>'} | tojson }}", '{"é": "<&>"}'),
        ("{{ x | e }}", "ab&lt;c"),
        ("{{ '%.2f' | format(1.234) }} {{ '%d' % 3 }} {{ '{:,}'.format(1000) }}", "1.23 3 1,000"),
        ("{% for i in l %}{{ loop.index }}{{ ',' if not loop.last }}{% endfor %}", "1,2"),
        ("{% for i in l if i > 1 %}{{ i }}{{ loop.length }}{% endfor %}", "21"),
        ("{% for k, v in m.items() %}{{ k }}{% endfor %}", None),
        ("{% macro f(a) %}<{{ a }}>{% endmacro %}{{ f(1) }}{{ f(2) }}", "<1><2>"),
        ("{% set n = namespace(t=0) %}{% for i in l %}{% set n.t = n.t + i %}{% endfor %}{{ n.t }}", "3"),
        ("{{ nope | default('d') }}", "d"),
        ("{{ nope is defined }}", False),
        ("{# comment #}{{ x }}", "ab<c"),
        ("{% raw %}{{ x }}{% endraw %}", "{{ x }}"),
        ("", ""),
        ("{{ '{{ x }}' }}", "{{ x }}"),
    ],
)
def test_what_a_template_gives(source: str, expected: Any) -> None:
    fields = {**FIELDS, "m": {"a": 1, "b": 2}} if ".items()" in source else FIELDS
    expected = "ab" if ".items()" in source else expected
    value = Template(source).render(fields)
    assert value == expected
    assert type(value) is type(expected)


def test_the_source_of_data_is_never_a_template() -> None:
    assert Template("{{ x }}!").render({"x": "{{ 7 * 7 }}{% for %}"}) == "{{ 7 * 7 }}{% for %}!"


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("{{ x", "not a template"),
        ("{% for %}", "not a template"),
        ("{% endfor %}", "not a template"),
        ("{{ x | upperr }}", "unknown filter 'upperr'; did you mean 'upper'"),
        ("{% if 0 %}{{ x | upperr }}{% endif %}", "unknown filter 'upperr'"),
        ("{{ x is evn }}", "unknown test 'evn'; did you mean 'even'"),
        ("{{ x | _counted }}", "unknown filter"),
        ("a\n\n{{ x | upperr }}", "line 3 of it"),
        ("{% include 'x' %}", "not available"),
        ("{% extends 'x' %}", "not available"),
        ("{% import 'x' as y %}", "not available"),
        ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "not a template"),
        ("{% for a in l %}" * 30 + "{% endfor %}" * 30, "not a template"),
        ("{{ " + "9" * 5000 + " }}", "not a template"),
    ],
)
def test_what_is_no_template(source: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        Template(source)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("{{ zzz }}", "there is no field 'zzz' (the fields are: k, l, m, none, x)"),
        ("{{ mm }}", "did you mean 'm'"),
        ("{{ m.nope }}", "no attribute 'nope'"),
        ("{{ m['nope'] }}", "no attribute 'nope'"),
        ("{{ x.y.z }}", "no attribute 'y'"),
        ("a\nb\n{{ nope }}", "(line 3 of the template)"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ l.append(1) }}", "unsafe"),
        ("{{ m.update({}) }}", "unsafe"),
        ("a{{ none }}", "would write a null"),
        ("a{{ x.upper }}", "would write the method 'upper'"),
        ("{{ x.upper }}", "the method 'upper', which is not data"),
        ("{{ self }}", "not data"),
        ("{{ l[9] }}", "no element 9"),
        ("{{ x + 1 }}", "cannot be rendered"),
        ("{{ lipsum() }}", "no field 'lipsum'"),
        ("{{ [nope] }}", "'nope'"),
    ],
)
def test_what_cannot_be_rendered_says_why(source: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        Template(source).render(FIELDS)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "source",
    [
        "{{ x.__class__ }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ x | attr('__class__') }}",
        "{{ [x] | map(attribute='__class__') | list }}",
        "{{ '{0.__class__}'.format(x) }}",
        "{{ '{0.__class__}'.format_map({'0': x}) }}",
        "{{ x['__class__'] }}",
        "{{ dict.mro() }}",
        "{{ dict.__base__ }}",
        "{{ namespace.__init__.__globals__ }}",
        "{{ range.__self__ }}",
        "{{ x.upper.__self__ }}",
        "{{ self.__init__.__globals__ }}",
        "{{ (x for x in l).gi_frame }}",
        "{% macro f() %}{% endmacro %}{{ f.__globals__ }}",
        "{{ cycler.__init__.__globals__.os }}",
        "{{ joiner.__init__ }}",
        "{{ m.__getattribute__('a') }}",
    ],
)
def test_pythons_inside_is_out_of_reach(source: str) -> None:
    with pytest.raises(UsageError):
        Template(source).render(FIELDS)


BOMBS = {
    "range": "{{ range(10**9) | list }}",
    "huge-range": "{{ range(10**30) | length }}",
    "loop": "{% for i in range(10**9) %}x{% endfor %}",
    "nested-loops": "{% for a in r %}{% for b in r %}{% for c in r %}{% endfor %}{% endfor %}{% endfor %}".replace(
        " r ", " range(9999) "
    ),
    "text-times": "{{ 'a' * 10**10 }}",
    "times-text": "{{ 10**10 * 'a' }}",
    "list-times": "{{ [0] * 10**10 }}",
    "nested-power": "{{ 10 ** (10 ** 10) }}",
    "product": "{{ " + " * ".join(["10**9999"] * 40) + " }}",
    "ljust": "{{ 'a'.ljust(10**10) }}",
    "zfill": "{{ 'a'.zfill(10**10) }}",
    "center": "{{ 'a' | center(10**10) }}",
    "indent": "{{ 'a\nb' | indent(10**10) }}",
    "indent-text": "{{ ('a\n' * 1000) | indent('b' * 1000000) }}",
    "format": "{{ '%10000000000d' % 1 }}",
    "format-star": "{{ '%*d' % (10**10, 1) }}",
    "format-filter": "{{ '%10000000000d' | format(1) }}",
    "format-method": "{{ '{:10000000000}'.format(1) }}",
    "format-nested": "{{ '{:{w}}'.format(1, w=10**10) }}",
    "bytes": "{{ (1).to_bytes(10**10, 'big') }}",
    "join": "{{ range(100000) | join('a' * 1000000) }}",
    "join-method": "{{ ('a' * 1000000).join(['x'] * 1000000) }}",
    "replace": "{{ ('a' * 1000000).replace('', 'b' * 1000000) }}",
    "replace-filter": "{{ ('a' * 1000000) | replace('', 'b' * 1000000) }}",
    "expandtabs": "{{ ('\t' * 1000000).expandtabs(10**10) }}",
    "slice": "{{ [1] | slice(10**10) | list }}",
    "batch": "{{ [1] | batch(10**10, 'x') | list }}",
    "wordwrap": "{{ ('a ' * 100000) | wordwrap(1, wrapstring='b' * 100000) }}",
    "tojson": "{{ {'a': 1} | tojson(indent=10**10) }}",
    "concat": "{% set a = 'x' * 1000 %}" + "{% set a = a ~ a %}" * 40 + "{{ a }}",
    "plus": "{% set a = 'x' * 1000 %}" + "{% set a = a + a %}" * 40 + "{{ a }}",
    "shared-lists": "{% set a = [1, 1] %}" + "{% set a = [a, a] %}" * 60 + "{{ a }}",
    "shared-lists-as-json": "{% set a = [1, 1] %}" + "{% set a = [a, a] %}" * 60 + "{{ a | tojson }}",
    "recursion": "{% macro f(n) %}{{ f(n) }}{% endmacro %}{{ f(1) }}",
    "doubling-recursion": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    "recursive-loop": "{% for i in [[[]]] recursive %}{{ loop([i, i]) }}{% endfor %}",
    "output": "{% for i in range(100000) %}{{ 'a' * 100000 }}{% endfor %}",
    "translate": "{{ ('a' * 1000000).translate({97: 'b' * 1000000}) }}",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(BOMBS))
def test_nothing_hangs_or_fills_memory(name: str) -> None:
    began = time.process_time()
    with pytest.raises(UsageError):
        Template(BOMBS[name]).render(FIELDS)
    assert time.process_time() - began < 20


def test_what_one_render_spends_is_not_counted_against_the_next() -> None:
    template = Template("{% for i in range(400000) %}{% endfor %}")
    for _ in range(4):
        assert template.render({}) == ""


def test_names_required_and_optional() -> None:
    template = Template(
        "{{ a }}{{ b | default('') }}{% if c is defined %}{{ c }}{% endif %}{% set d = 1 %}{{ d }}{{ range(1) }}"
    )
    assert template.names == {"a", "b", "c"}
    assert template.optional == {"b", "c"}
    assert template.required == {"a"}


def test_the_name_of_a_template_stands_in_its_messages() -> None:
    with pytest.raises(UsageError, match=r"template: prompts/p\.j2$"):
        Template("{{ nope }}", where="prompts/p.j2").render({})


@pytest.mark.parametrize(
    ("source", "holds"),
    [
        ("k == 'B'", True),
        ("{{ k == 'B' }}", True),
        ("k == 'C' or l | length > 1", True),
        ("none", False),
        ("m.a > 1", False),
    ],
)
def test_conditions(source: str, holds: bool) -> None:
    assert Condition(source).holds(FIELDS) is holds


@pytest.mark.parametrize("source", ["k ==", "", "k }} {{ k", "{% if k %}", "a b"])
def test_what_is_no_condition(source: str) -> None:
    with pytest.raises(UsageError, match="not an expression"):
        Condition(source)


def test_a_condition_over_a_missing_field() -> None:
    with pytest.raises(UsageError, match="no field 'lang'"):
        Condition("lang == 'de'").holds(FIELDS)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(json_values)
def test_a_lone_name_gives_the_value_itself(value: Any) -> None:
    assert Template("{{ x }}").render({"x": value}) == value
    assert Template("{{ x if true }}").render({"x": value}) == value


@given(st.text())
def test_text_comes_through_unchanged(text: str) -> None:
    assert Template("[{{ x }}]").render({"x": text}) == f"[{text}]"


@given(st.text())
def test_any_text_is_a_template_or_refused(text: str) -> None:
    for source in (text, "{{" + text + "}}", "{%" + text + "%}"):
        try:
            template = Template(source)
        except UsageError:
            continue
        try:
            template.render(FIELDS)
        except UsageError:
            continue
