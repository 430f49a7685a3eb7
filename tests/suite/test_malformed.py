"""A corpus of broken suites: each distinct fault is reported at its place, in words, without a traceback.

Each case changes the suite that is right (base.yaml) in one way; ‸ marks the place that must be reported, to the
column, and the text after it must be in the message there. The whole command line runs: exit code 2, every message with
file:line:column, nothing of pydantic's language, no secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from evalharness.cli.main import main

MESSAGE = re.compile(r"^.+:\d+:\d+ \S")
JARGON = re.compile(r"pydantic|Input should|input_value|validation error|type=|union_tag|Traceback|NoneType|\bdict\b")


class Case(NamedTuple):
    """`old` in the base becomes `new`."""

    old: str
    new: str
    says: str


FREE = "  - id: free\n"
CASES: dict[str, Case] = {
    # ── YAML itself ───────────────────────────────────────────────────────────────────────────────────────────────
    "tab-indent": Case("  gen:", "‸\tgen:", "blanks only"),
    "tab-after-blanks": Case("    backend: openai", "  ‸\t  backend: openai", "blanks only"),
    "bad-indent": Case("    model: m\n", "     model‸: m\n", "indented"),
    "unclosed-quote": Case('    classify: "{{ text }}"\n', "    classify: '{{ text }}\n    t: \"it'‸s\"\n", ""),
    "unclosed-bracket": Case(
        "[rougeL, {bleu: {lowercase: true}}]\n  - id: pick\n", "[rougeL\n  - id‸: pick\n", "bracket"
    ),
    "unclosed-brace": Case("{count_as: wrong, max_rate: 0.5}\ngates:", "{count_as: wrong\ngates‸:", "bracket"),
    "braces-unquoted": Case('perplexity: "{{ text }}"', "perplexity: ‸{{ text }}", "must be in quotes"),
    "braces-unquoted-with-text": Case('prompt: "Q: {{ text }}"', "prompt: ‸{{ text }} and more", "must be in quotes"),
    "colon-in-text": Case("description: a suite", "description: a‸: suite", "must be in quotes"),
    "at-sign": Case("description: a suite that is right", "description: ‸@here", "must be in quotes"),
    "backtick": Case("description: a suite that is right", "description: ‸`code`", "must be in quotes"),
    "percent": Case("description: a suite that is right", "description: ‸%d items", "must be in quotes"),
    "bad-escape": Case("description: a suite that is right", 'description: "‸\\q"', "escape"),
    "unknown-alias": Case('reference: "{{ gold }}"', "reference: ‸*gold", "names no anchor"),
    "alias-to-itself": Case("choices: [pos, neg]", "choices: &c [pos, ‸*c]", "names no anchor"),
    "python-tag": Case("seed: 3", "seed: ‸!!python/object/apply:os.system [ls]", "tag"),
    "binary-tag": Case("name: base", "name: ‸!!binary aGk=", "!!binary"),
    "set-tag": Case("choices: [pos, neg]", "choices: ‸!!set {pos, neg}", "tag"),
    "own-tag": Case("name: base", "name: ‸!base base", "!base"),
    "second-document": Case("models:\n", "‸---\nmodels:\n", "second document"),
    "document-end-then-more": Case("seed: 3\n", "seed: 3\n...\n‸---\na: 1\n", "second document"),
    "duplicate-top-key": Case("seed: 3\n", "seed: 3\n‸seed: 4\n", "second time"),
    "duplicate-model": Case("  cls:", "  ‸gen: {backend: fake}\n  cls:", "second time"),
    "duplicate-in-flow": Case("{max_tokens: 8}", "{max_tokens: 8, ‸max_tokens: 9}", "second time"),
    "duplicate-row-key": Case("gold: x, label: pos}", "gold: x, ‸gold: z, label: pos}", "second time"),
    "unquoted-yes": Case("choices: [pos, neg]", "choices: [‸yes, pos]", "boolean to some"),
    "unquoted-no": Case("choices: [pos, neg]", "choices: [pos, ‸no]", "boolean to some"),
    "unquoted-Off": Case("gold: x,", "gold: ‸Off,", "boolean to some"),
    "unquoted-ON": Case("name: base", "name: ‸ON", "boolean to some"),
    "date": Case("description: a suite that is right", "description: ‸2024-01-31", "a date to some"),
    "timestamp": Case("gold: x,", "gold: ‸2024-01-31 10:00:00,", "a date to some"),
    "leading-zero": Case("gold: x,", "gold: ‸0123,", "different numbers"),
    "underscore-number": Case("gold: x,", "gold: ‸1_000,", "different numbers"),
    "clock": Case("gold: x,", "gold: ‸12:30,", "different numbers"),
    "hexadecimal": Case("seed: 3", "seed: ‸0x1F", "different numbers"),
    "binary-number": Case("seed: 3", "seed: ‸0b101", "different numbers"),
    "nan": Case("temperature: 0.5", "temperature: ‸.nan", "no number"),
    "infinity": Case("max_rate: 0.5", "max_rate: ‸.inf", "no number"),
    "minus-infinity": Case("at_least: 0.1", "at_least: ‸-.INF", "no number"),
    "too-large-float": Case("temperature: 0.5", "temperature: ‸1e999", "too large"),
    "huge-integer": Case("seed: 3", "seed: ‸" + "9" * 5000, "64 bits"),
    "integer-of-65-bits": Case("seed: 3", "seed: ‸18446744073709551616", "64 bits"),
    "integer-key": Case("  gen: {", "  ‸7: {", "key must be text"),
    "boolean-key": Case("  gen: {", "  ‸true: {", "key must be text"),
    "yes-key": Case("  gen: {", "  ‸yes: {", "key must be text"),
    "null-key": Case("  gen: {", "  ‸~: {", "key must be text"),
    "date-key": Case("gold: x,", "‸2024-01-31: x,", "key must be text"),
    "list-key": Case("seed: 3", "? ‸[a, b]\n: 3", "key must be text"),
    "mapping-key": Case("seed: 3", "? ‸{a: b}\n: 3", "key must be text"),
    "deep-list": Case("seed: 3", "seed: " + "[" * 39 + "‸[" + "]" * 40, "nested more than"),
    "deep-mapping": Case("seed: 3", "seed: " + "{a: " * 39 + "‸{a: 1}" + "}" * 39, "nested more than"),
    "too-deep-to-recurse": Case("seed: 3", "seed: " + "[" * 39 + "‸[" + "[" * 20_000, "nested more than"),
    "merge-of-a-word": Case("    model: m\n", "    model: m\n    <<: ‸word\n", "<< takes a mapping"),
    "list-on-key-line": Case("choices: [pos, neg]", "choices: ‸- pos", "line of its own"),
    "yaml-directive": Case("version: 1\n", "‸%YAML 9.9\n---\nversion: 1\n", "YAML"),
    "control-character": Case("that is right", "that ‸\x07is right", "control character"),
    "nul": Case("that is right", "that ‸\x00is right", "NUL"),
    "delete-character": Case("that is right", "that ‸\x7fis right", "control character"),
    "zero-width-bom-inside": Case("that is right", "that ‸\ufeffis right", "U+FEFF"),
    "top-is-comment-only": Case("", "‸# nothing but a comment", "empty"),
    "top-is-list": Case("", "‸- version: 1", "a list"),
    "top-is-text": Case("", "‸just a text", "a single value"),
    "top-is-number": Case("", "‸42", "a single value"),
    "top-is-null": Case("", "‸~", "a single value"),
    # ── top-level keys ────────────────────────────────────────────────────────────────────────────────────────────
    "no-version": Case("version: 1\n", "‸", "version: 1"),
    "version-2": Case("version: 1", "version: ‸2", "must be 1"),
    "version-text": Case("version: 1", 'version: ‸"1"', "must be 1"),
    "version-true": Case("version: 1", "version: ‸true", "must be 1"),
    "version-float": Case("version: 1", "version: ‸1.0", "must be 1"),
    "version-null": Case("version: 1", "version:‸", "empty"),
    "name-missing": Case("version: 1\nname: base\n", "‸version: 1\n", "name: my-suite"),
    "name-number": Case("name: base", "name: ‸12", "in quotes"),
    "name-boolean": Case("name: base", "name: ‸false", "in quotes"),
    "name-blank": Case("name: base", "name: ‸my suite", "letters, digits"),
    "name-at": Case("name: base", "name: ‸a@b", "letters, digits"),
    "name-dot": Case("name: base", "name: ‸v1.2", "letters, digits"),
    "name-empty": Case("name: base", 'name: ‸""', "letters, digits"),
    "name-too-long": Case("name: base", "name: ‸" + "n" * 101, "at most 100"),
    "name-list": Case("name: base", "name: ‸[base]", "must be text"),
    "description-number": Case("description: a suite that is right", "description: ‸1.5", "must be text"),
    "description-mapping": Case("description: a suite that is right", "description: ‸{a: b}", "must be text"),
    "seed-negative": Case("seed: 3", "seed: ‸-1", "at least 0"),
    "seed-text": Case("seed: 3", 'seed: ‸"3"', "without quotes"),
    "seed-float": Case("seed: 3", "seed: ‸3.5", "whole number"),
    "seed-boolean": Case("seed: 3", "seed: ‸true", "whole number"),
    "confidence-one": Case("seed: 3", "confidence: ‸1.0", "less than 1"),
    "confidence-low": Case("seed: 3", "confidence: ‸0.5", "greater than 0.5"),
    "confidence-percent": Case("seed: 3", "confidence: ‸95%", "a number"),
    "unknown-top-key": Case("seed: 3", "‸sed: 3", "did you mean 'seed'"),
    "unknown-top-key-far": Case("seed: 3", "‸zzz: 3", "known: version"),
    "wrong-case": Case("seed: 3", "‸Seed: 3", "did you mean 'seed'"),
    "model-singular": Case("models:\n", "‸model:\n", "did you mean 'models'"),
    "task-singular": Case("tasks:\n", "‸task:\n", "did you mean 'tasks'"),
    # ── extends, vars, matrix ─────────────────────────────────────────────────────────────────────────────────────
    "extends-missing-file": Case("seed: 3", "extends: ‸nowhere.yaml", "no file 'nowhere.yaml'"),
    "extends-near-file": Case("seed: 3", "extends: ‸suit.yaml", "did you mean 'suite.yaml'"),
    "extends-itself": Case("seed: 3", "extends: ‸suite.yaml", "circle"),
    "extends-number": Case("seed: 3", "extends: ‸5", "path of a suite file"),
    "extends-mapping": Case("seed: 3", "extends: ‸{file: a.yaml}", "path of a suite file"),
    "extends-list-item": Case("seed: 3", "extends: [‸1]", "path of a suite file"),
    "vars-list": Case("vars: {n: 4, unused: [1]}", "vars: ‸[n, 4]", "mapping of names"),
    "vars-bad-name": Case("vars: {n: 4", "vars: {n: 4, ‸a.b: 1", "letters, digits"),
    "unknown-variable": Case("{max_tokens: 8}", '{max_tokens: ‸"${vars.m}"}', "unknown variable 'm'"),
    "near-variable": Case("gold: x,", 'gold: ‸"${vars.unsed}",', "did you mean 'unused'"),
    "variable-of-wrong-type": Case("{max_tokens: 8}", '{max_tokens: ‸"${vars.unused}"}', "whole number"),
    "list-within-text": Case("gold: x,", 'gold: ‸"a ${vars.unused}",', "within a text"),
    "variable-circle": Case("vars: {n: 4", 'vars: {n: ‸"${vars.m}", m: "${vars.n}"', "circle"),
    "var-instead-of-vars": Case("gold: x,", 'gold: ‸"${var.n}",', "no placeholder"),
    "colon-in-vars": Case("gold: x,", 'gold: ‸"${vars:n}",', "no placeholder"),
    "bare-variable": Case("gold: x,", 'gold: ‸"${n}",', "write ${vars.n}"),
    "env-with-dot": Case('"${env:KEY}"', '‸"${env.KEY}"', "no placeholder"),
    "env-in-prompt": Case('prompt: "Q: {{ text }}"', 'prompt: ‸"${env:KEY} {{ text }}"', "only in a model's api_key"),
    "env-in-row": Case("gold: x,", 'gold: ‸"${env:KEY}",', "only in a model's api_key"),
    "env-in-model-name": Case("    model: m\n", '    model: ‸"${env:KEY}"\n', "only in a model's api_key"),
    "env-in-description": Case("a suite that is right", '‸"${env:KEY}"', "only in a model's api_key"),
    "env-in-name": Case("name: base", 'name: ‸"${env:KEY}"', "only in a model's api_key"),
    "env-not-set": Case('"${env:KEY}"', '‸"${env:NOT_SET_ANYWHERE}"', "NOT_SET_ANYWHERE is not set"),
    "env-not-set-in-header": Case(
        '    api_key: "${env:KEY}"', '    headers: {X-Key: ‸"a ${env:NOT_SET_ANYWHERE}"}', "is not set"
    ),
    "literal-key": Case('"${env:KEY}"', "‸sk-abcdefgh", "must not stand in a suite"),
    "literal-long-key": Case('"${env:KEY}"', "‸" + "k" * 30, "must not stand in a suite"),
    "literal-authorization": Case(
        '    api_key: "${env:KEY}"', "    headers: {Authorization: ‸Bearer abcdefghijklmnopqrstu}", "must not stand"
    ),
    "matrix-list": Case("seed: 3", "matrix: ‸[1]", "must be a mapping"),
    "matrix-unknown-name": Case("seed: 3", "matrix: {‸gem.reply: [a]}", "did you mean 'gen'"),
    "matrix-no-path": Case("seed: 3", "matrix: {‸gen: [a]}", "NAME.path"),
    "matrix-empty-step": Case("seed: 3", "matrix: {‸gen..reply: [a]}", "NAME.path"),
    "matrix-single-value": Case("seed: 3", "matrix: {gen.reply: ‸a}", "must be a list"),
    "matrix-empty-list": Case("seed: 3", "matrix: {gen.reply: ‸[]}", "must be a list"),
    "matrix-same-value-twice": Case("seed: 3", "matrix: {‸gen.reply: [a, a]}", "two variants"),
    "matrix-id": Case("seed: 3", "matrix: {‸free.id: [a, b]}", "cannot vary"),
    "matrix-too-many": Case(
        "seed: 3",
        f"matrix: ‸{{gen.generate.seed: {list(range(40))}, gen.generate.top_k: {list(range(1, 41))}}}",
        "1,600",
    ),
    "matrix-through-a-value": Case("seed: 3", "matrix: {‸gen.reply.x: [a]}", "single value"),
    "matrix-no-such-item": Case("seed: 3", "matrix: {‸free.metrics.9: [bleu]}", "no item"),
    "matrix-wrong-type": Case("seed: 3", "matrix: {gen.generate.temperature: [0.5, ‸hot]}", "a number"),
    "matrix-unknown-key": Case("seed: 3", "matrix: {‸gen.repply: [a]}", "did you mean 'reply'"),
    # ── models ────────────────────────────────────────────────────────────────────────────────────────────────────
    "models-list": Case(
        '  gen: {backend: fake, reply: "{{ prompt }}"}\n', "  - gen: {backend: fake}\n  ‸api2:\n", "indented"
    ),
    "model-number": Case('{backend: fake, reply: "{{ prompt }}"}', "‸5", "a mapping"),
    "model-text": Case('{backend: fake, reply: "{{ prompt }}"}', "‸fake", "a mapping"),
    "model-list": Case('{backend: fake, reply: "{{ prompt }}"}', "‸[fake]", "a mapping"),
    "model-name-blank": Case("  gen: {", "  ‸my model: {", "letters, digits"),
    "model-name-at": Case("  gen: {", "  ‸gen@1: {", "matrix makes"),
    "model-name-dot": Case("  gen: {", "  ‸gen.1: {", "letters, digits"),
    "model-name-dash-first": Case("  gen: {", "  ‸-gen: {", "letters, digits"),
    "no-backend": Case("{backend: fake, reply", "‸{reply", "backend: one of"),
    "unknown-backend": Case("backend: fake", "backend: ‸fkae", "did you mean 'fake'"),
    "unknown-backend-hf": Case("backend: hf-classifier", "backend: ‸hf-clasifier", "did you mean 'hf-classifier'"),
    "unknown-backend-far": Case("backend: fake", "backend: ‸zzzzz", "known: hf-causal"),
    "backend-number": Case("backend: fake", "backend: ‸1", "must be text"),
    "backend-empty": Case("backend: fake", "backend: ‸''", "unknown backend"),
    "backend-list": Case("backend: fake", "backend: ‸[fake]", "must be text"),
    "backend-upper": Case("backend: fake", "backend: ‸FAKE", "did you mean 'fake'"),
    "unknown-model-key": Case("reply: ", "‸replay: ", "did you mean 'reply'"),
    "key-of-another-backend": Case("reply: ", "‸path: ", "unknown key 'path'"),
    "hf-no-path": Case("{backend: hf-classifier, path: ./cls}", "‸{backend: hf-classifier}", "is missing"),
    "hf-path-empty": Case("path: ./cls", 'path: ‸""', "must not be empty"),
    "hf-dtype": Case("path: ./cls", "path: ./cls, dtype: ‸bfloat", "did you mean 'bfloat16'"),
    "hf-device": Case("path: ./cls", "path: ./cls, device: ‸gpu", "auto, cpu, mps"),
    "hf-devices": Case("path: ./cls", "path: ./cls, devices: ‸al", "all or a list"),
    "hf-devices-cpu": Case("path: ./cls", "path: ./cls, devices: [cuda:0, ‸cpu]", "a GPU with its number"),
    "hf-devices-none": Case("path: ./cls", "path: ./cls, devices: ‸[]", "at least 1"),
    "hf-devices-twice": Case("path: ./cls", "path: ./cls, devices: ‸[cuda:1, cuda:1]", "names cuda:1 twice"),
    "hf-device-map": Case("path: ./cls", "path: ./cls, device_map: ‸autom", "did you mean 'auto'"),
    "hf-device-and-devices": Case(
        "{backend: hf-classifier, path: ./cls",
        "‸{backend: hf-classifier, path: ./cls, device: cpu, devices: all",
        "give one of device, devices, device_map, not device and devices",
    ),
    "hf-batch-zero": Case("path: ./cls", "path: ./cls, batch_size: ‸0", "at least 1"),
    "hf-batch-word": Case("path: ./cls", "path: ./cls, batch_size: ‸big", "a whole number or auto"),
    "hf-max-length": Case("path: ./cls", "path: ./cls, max_length: ‸4", "at least 8"),
    "hf-threshold": Case("path: ./cls", "path: ./cls, threshold: ‸1.5", "less than 1"),
    "hf-trust-text": Case("path: ./cls", 'path: ./cls, trust_remote_code: ‸"true"', "without quotes"),
    "hf-labels-text": Case("path: ./cls", "path: ./cls, labels: ‸pos", "a list"),
    "hf-labels-number": Case("path: ./cls", "path: ./cls, labels: [‸0, b]", "in quotes"),
    "hf-padding": Case("path: ./cls", "path: ./cls, padding_side: ‸centre", "left, right"),
    "hf-quantization": Case("path: ./cls", "path: ./cls, quantization: ‸int8", "a mapping"),
    "hf-causal-labels": Case(
        "{backend: hf-classifier, path: ./cls", "‸{backend: hf-causal, labels: [a], path: ./cls", "no effect"
    ),
    "api-no-model": Case("    backend: openai\n    model: m\n", "    ‸backend: openai\n", "is missing"),
    "api-kind": Case("    model: m\n", "    model: m\n    api: ‸chats\n", "did you mean 'chat'"),
    "api-timeout": Case("    model: m\n", "    model: m\n    timeout_s: ‸0\n", "greater than 0"),
    "api-timeout-text": Case("    model: m\n", "    model: m\n    timeout_s: ‸10s\n", "a number"),
    "api-retries": Case("    model: m\n", "    model: m\n    max_retries: ‸101\n", "at most 100"),
    "api-concurrency": Case("    model: m\n", "    model: m\n    concurrency: ‸-2\n", "at least 1"),
    "api-headers-list": Case("    model: m\n", "    model: m\n    headers: ‸[a]\n", "a mapping"),
    "api-header-number": Case("    model: m\n", "    model: m\n    headers: {X-Team: ‸7}\n", "must be text"),
    "api-temperature": Case("temperature: 0.5", "temperature: ‸-0.5", "at least 0"),
    "api-top-p": Case("temperature: 0.5", "top_p: ‸1.5", "at most 1"),
    "api-top-p-zero": Case("temperature: 0.5", "top_p: ‸0", "greater than 0"),
    "api-top-k": Case("temperature: 0.5", "top_k: ‸0.5", "whole number"),
    "api-stop-text": Case('stop: ["\\n"]', 'stop: ‸"END"', "a list"),
    "api-stop-empty": Case('stop: ["\\n"]', 'stop: [‸""]', "must not be empty"),
    "api-repeats": Case("temperature: 0.5", "repeats: ‸0", "at least 1"),
    "api-repeats-many": Case("temperature: 0.5", "repeats: ‸1001", "at most 1000"),
    "generation-unknown": Case("temperature: 0.5", "‸temprature: 0.5", "did you mean 'temperature'"),
    "generation-number": Case('{temperature: 0.5, stop: ["\\n"]}', "‸0.5", "a mapping"),
    "http-no-url": Case('{backend: http, url: "http://localhost:1/ask", ', "‸{backend: http, ", "is missing"),
    "http-method": Case("backend: http,", "backend: http, method: ‸post,", "did you mean 'POST'"),
    "http-body-template": Case('{q: "{{ prompt }}"}', '{q: ‸"{{ prompt }"}', "not a template"),
    "http-body-name": Case('{q: "{{ prompt }}"}', '{q: ‸"{{ promt }}"}', "did you mean 'prompt'"),
    "fake-reply-template": Case('reply: "{{ prompt }}"', 'reply: ‸"{% if %}"', "not a template"),
    "fake-reply-name": Case('reply: "{{ prompt }}"', 'reply: ‸"{{ text }}"', "a request does not have"),
    "python-function": Case(
        '{backend: fake, reply: "{{ prompt }}"}', "{backend: python, function: ‸answer}", "module:function"
    ),
    "python-kind": Case(
        '{backend: fake, reply: "{{ prompt }}"}', "{backend: python, function: 'm:f', kind: ‸chat}", "generate"
    ),
    "replay-sha": Case(
        '{backend: fake, reply: "{{ prompt }}"}', "{backend: replay, path: o.jsonl, sha256: ‸abc}", "64 digits"
    ),
    "replay-no-path": Case('{backend: fake, reply: "{{ prompt }}"}', "‸{backend: replay}", "is missing"),
    # ── datasets ──────────────────────────────────────────────────────────────────────────────────────────────────
    "dataset-no-source": Case("{path: items.jsonl, id: key}", "‸{id: key}", "exactly one of path, rows and hf"),
    "dataset-two-sources": Case("{path: items.jsonl,", "‸{path: items.jsonl, hf: squad,", "exactly one"),
    "dataset-text": Case("{path: items.jsonl, id: key}", "‸items.jsonl", "a mapping"),
    "dataset-unknown-key": Case("id: key", "‸ids: key", "did you mean 'id'"),
    "dataset-name": Case("  file: {", "  ‸my file: {", "letters, digits"),
    "dataset-format": Case("id: key", "format: ‸jsonlines", "did you mean 'jsonl'"),
    "dataset-encoding": Case("id: key", "encoding: ‸utf8x", "no encoding"),
    "dataset-sha": Case("id: key", "sha256: ‸ABCD", "64 digits"),
    "dataset-limit": Case("id: key", "limit: ‸0", "at least 1"),
    "dataset-limit-text": Case("id: key", "limit: ‸all", "whole number"),
    "dataset-shuffle": Case("id: key", "shuffle: ‸true", "whole number"),
    "dataset-split-of-file": Case(
        "{path: items.jsonl, id: key}", "‸{path: items.jsonl, split: test}", "no effect without hf"
    ),
    "dataset-path-list": Case("path: items.jsonl", "path: ‸[a.jsonl]", "must be text"),
    "dataset-path-empty": Case("path: items.jsonl", "path: ‸''", "must not be empty"),
    "dataset-groups-text": Case("groups: [label]", "groups: ‸label", "a list"),
    "dataset-where": Case("groups: [label]", "where: ‸label ==", "not an expression"),
    "dataset-where-name": Case("groups: [label]", "where: ‸lable == 'pos'", "did you mean 'label'"),
    "dataset-field-template": Case("groups: [label]", 'fields: {short: ‸"{{ text"}', "not a template"),
    "dataset-field-name": Case("groups: [label]", 'fields: {short: ‸"{{ txt }}"}', "did you mean 'text'"),
    "dataset-field-number": Case("groups: [label]", "fields: {short: ‸3}", "must be text"),
    "rows-mapping": Case("id: key}", "id: key}\n  more: {rows: ‸{a: 1}}", "a list"),
    "rows-empty": Case("id: key}", "id: key}\n  more: {rows: ‸[]}", "at least 1"),
    "row-text": Case("id: key}", "id: key}\n  more: {rows: [‸one]}", "a mapping"),
    # ── tasks ─────────────────────────────────────────────────────────────────────────────────────────────────────
    "task-text": Case(FREE, "  - ‸word\n" + FREE, "a mapping"),
    "task-null": Case(FREE, "  -‸\n" + FREE, "a mapping"),
    "task-no-id": Case("  - id: ppl\n    dataset", "  - ‸dataset", "id"),
    "task-no-dataset": Case("  - id: ppl\n    dataset: items\n", "  - ‸id: ppl\n", "dataset"),
    "task-same-id": Case("- id: pick", "- id: ‸free", "taken by the task in line 23"),
    "task-id-at": Case("- id: ppl", "- id: ‸ppl@2", "matrix makes"),
    "task-id-dot": Case("- id: ppl", "- id: ‸ppl.2", "letters, digits"),
    "task-id-number": Case("- id: ppl", "- id: ‸2", "in quotes"),
    "task-unknown-dataset": Case("dataset: file", "dataset: ‸files", "did you mean 'file'"),
    "task-unknown-model": Case("model: cls", "model: ‸cl", "did you mean 'cls'"),
    "task-unknown-model-in-list": Case("[gen, api]", "[gen, ‸apy]", "did you mean 'api'"),
    "task-model-empty": Case("[gen, api]", "‸[]", "at least 1"),
    "task-unknown-key": Case("    classify:", "    ‸classfy:", "unknown key"),
    "task-two-kinds": Case("    classify:", "    ‸prompt: a\n    classify:", "only one of"),
    "task-prompt-and-messages": Case(
        "- id: free\n", "- ‸id: free\n    messages: [{role: user, content: a}]\n", "not both"
    ),
    "task-nothing-asked": Case(
        '- id: ppl\n    dataset: items\n    model: gen\n    perplexity: "{{ text }}"\n',
        "- ‸id: ppl\n    dataset: items\n    model: gen\n",
        "one of prompt, messages",
    ),
    "task-limit": Case("model: cls", "model: cls\n    limit: ‸-3", "at least 1"),
    "task-groups": Case("model: cls", "model: cls\n    groups: [‸lable]", "did you mean 'label'"),
    "task-prompt-number": Case('prompt: "Q: {{ text }}"', "prompt: ‸5", "must be text"),
    "task-prompt-list": Case('prompt: "Q: {{ text }}"', "prompt: ‸[a]", "must be text or a mapping"),
    "task-prompt-file-key": Case('prompt: "Q: {{ text }}"', "prompt: {‸path: a.j2}", "unknown key 'path'"),
    "task-prompt-file-missing": Case('prompt: "Q: {{ text }}"', "prompt: ‸{file: a.j2}", "no file 'a.j2'"),
    "task-prompt-file-near": Case('prompt: "Q: {{ text }}"', "prompt: ‸{file: suit.yaml}", "did you mean 'suite.yaml'"),
    "task-prompt-file-folder": Case('prompt: "Q: {{ text }}"', "prompt: ‸{file: .}", "a folder"),
    "template-unclosed": Case('perplexity: "{{ text }}"', 'perplexity: ‸"{{ text "', "not a template"),
    "template-unknown-field": Case('perplexity: "{{ text }}"', 'perplexity: ‸"{{ txet }}"', "did you mean 'text'"),
    "template-unknown-filter": Case(
        'perplexity: "{{ text }}"', 'perplexity: ‸"{{ text | uper }}"', "did you mean 'upper'"
    ),
    "template-unknown-test": Case(
        'perplexity: "{{ text }}"', 'perplexity: ‸"{{ 1 if text is evn }}"', "did you mean 'even'"
    ),
    "template-include": Case('perplexity: "{{ text }}"', "perplexity: ‸\"{% include 'a' %}\"", "not available"),
    "template-unknown-statement": Case('perplexity: "{{ text }}"', 'perplexity: ‸"{% fro x in y %}"', "not a template"),
    "template-target": Case(
        'classify: "{{ text }}"\n    target: "{{ label }}"',
        'classify: "{{ text }}"\n    target: ‸"{{ lable }}"',
        "did you mean",
    ),
    "template-reference": Case(
        'reference: "{{ gold }}"', 'reference: ["{{ gold }}", ‸"{{ silver }}"]', "no column 'silver'"
    ),
    "template-choice": Case("choices: [pos, neg]", 'choices: [‸"{{ a }}", neg]', "no column 'a'"),
    "template-random": Case(
        'perplexity: "{{ text }}"', 'perplexity: ‸"{{ text | random }}"', "unknown filter 'random'"
    ),
    "choices-one": Case("choices: [pos, neg]", "choices: ‸[pos]", "at least 2"),
    "choices-number": Case("choices: [pos, neg]", "choices: [‸0, neg]", "in quotes"),
    "choices-mapping": Case("choices: [pos, neg]", "choices: ‸{a: pos}", "a list or text"),
    "choices-and-generate": Case("  - id: pick\n", "  - ‸id: pick\n    generate: {max_tokens: 3}\n", "no effect"),
    "choices-and-extract": Case("  - id: pick\n", "  - ‸id: pick\n    extract: x\n", "no effect"),
    "normalize-without-choices": Case(FREE, "  - ‸id: free\n    normalize: bytes\n", "no effect without choices"),
    "normalize-unknown": Case(
        "choices: [pos, neg]", "choices: [pos, neg]\n    normalize: ‸token", "did you mean 'tokens'"
    ),
    "extract-pattern": Case("    generate: {max_tokens: 8}\n", "    extract: ‸'('\n", "regular expression"),
    "message-role": Case("role: system", "role: ‸sytem", "did you mean 'system'"),
    "message-no-content": Case(
        "- {role: system, content: Be brief.}", "- ‸{role: system}", "role and content, or history"
    ),
    "message-history-and-role": Case(
        "- {role: system, content", "- ‸{history: turns, role: system, content", "role and content, or history"
    ),
    "message-text": Case("- {role: system, content: Be brief.}", "- ‸Be brief.", "a mapping"),
    "message-history-expression": Case("- {role: system, content: Be brief.}", "- {history: ‸'a b'}", "not a template"),
    "chat-false-with-messages": Case("  - id: talk\n", "  - ‸id: talk\n    chat: false\n", "chat turns"),
    "chat-word": Case(FREE, "  - id: free\n    chat: ‸always\n", "true or false"),
    "few-shot-no-n": Case("{dataset: items, n: 1}", "‸{dataset: items}", "is missing"),
    "few-shot-zero": Case("n: 1}", "n: ‸0}", "at least 1"),
    "few-shot-draw": Case("n: 1}", "n: 1, draw: ‸random}", "first, once, per_sample"),
    "few-shot-dataset": Case("few_shot: {dataset: items", "few_shot: {dataset: ‸itms", "did you mean 'items'"),
    "few-shot-no-answer": Case(
        '- id: free\n    dataset: items\n    model: gen\n    prompt: "Q: {{ text }}"\n    reference: "{{ gold }}"\n',
        '- ‸id: free\n    dataset: items\n    model: gen\n    prompt: "Q: {{ text }}"\n',
        "few_shot has no answers",
    ),
    "few-shot-answer-field": Case("n: 1}", "n: 1, answer: ‸'{{ glod }}'}", "did you mean 'gold'"),
    "classify-generate": Case("    classify:", "    ‸generate: {}\n    classify:", "unknown key 'generate'"),
    "labels-numbers": Case(
        '    classify: "{{ text }}"\n', '    classify: "{{ text }}"\n    labels: [‸1, two]\n', "in quotes"
    ),
    "capability-classify": Case("model: cls", "model: ‸api", "cannot do"),
    "capability-choices": Case(
        "  - id: pick\n    dataset: items\n    model: gen",
        "  - id: pick\n    dataset: items\n    model: ‸api",
        "cannot do",
    ),
    "capability-perplexity": Case(
        "  - id: ppl\n    dataset: items\n    model: gen",
        "  - id: ppl\n    dataset: items\n    model: ‸cls",
        "cannot do",
    ),
    "capability-all-models": Case(
        "  - id: ppl\n    dataset: items\n    model: gen\n",
        "  - id: ‸ppl\n    dataset: items\n",
        "named under the task's `model`",
    ),
    "capability-generate": Case("[gen, api]", "‸[gen, cls]", "generate text"),
    # ── metrics ───────────────────────────────────────────────────────────────────────────────────────────────────
    "metric-unknown": Case("[rougeL,", "[‸rougel2,", "did you mean 'rougeL'"),
    "metric-unknown-far": Case("[accuracy]", "[‸zzzzzz]", "unknown metric 'zzzzzz'"),
    "metric-text": Case("metrics: [accuracy]", "metrics: ‸accuracy", "write [accuracy]"),
    "metric-number": Case("[accuracy]", "[‸1]", "must be text"),
    "metric-empty": Case("[accuracy]", "[‸'']", "must not be empty"),
    "metric-null": Case("[accuracy]", "[‸~]", "must be text"),
    "metric-two-in-one": Case("[accuracy]", "[‸{accuracy: {}, mcc: {}}]", "one name with its options"),
    "metric-options-list": Case("{bleu: {lowercase: true}}", "{bleu: ‸[lowercase]}", "a mapping"),
    "metric-option-unknown": Case("{bleu: {lowercase", "{bleu: {‸lowercas", "did you mean 'lowercase'"),
    "metric-option-type": Case("lowercase: true", "‸lowercase: maybe", "true or false"),
    "metric-as-number": Case("lowercase: true", "‸as: 5", "a name of a figure"),
    "metric-as-dot": Case("lowercase: true", "‸as: a.b", "a name of a figure"),
    "metric-twice": Case("[accuracy]", "[accuracy, ‸accuracy]", "a second figure"),
    "metric-same-as": Case("[accuracy]", "[accuracy, ‸{mcc: {as: accuracy}}]", "a second figure"),
    "metric-wrong-kind": Case("[word_perplexity]", "[‸bleu]", "generate text"),
    "metric-needs-reference": Case(
        'reference: "{{ gold }}"\n    generate: {max_tokens: 8}\n    few_shot: {dataset: items, n: 1}\n    metrics: [',
        'target: "{{ gold }}"\n    metrics: [‸',
        "needs the task's `reference`",
    ),
    "metric-needs-target": Case(
        'classify: "{{ text }}"\n    target: "{{ label }}"\n    metrics: [',
        'classify: "{{ text }}"\n    metrics: [‸',
        "needs the task's `target`",
    ),
    "metric-perplexity-of-prompt": Case("[accuracy]", "[‸word_perplexity]", "whole texts"),
    # ── execution ─────────────────────────────────────────────────────────────────────────────────────────────────
    "execution-list": Case(
        "execution:\n  concurrency: 4\n  on_error: {count_as: wrong, max_rate: 0.5}", "execution: ‸[]", "a mapping"
    ),
    "execution-unknown": Case("  concurrency: 4", "  ‸concurency: 4", "did you mean 'concurrency'"),
    "execution-concurrency": Case("concurrency: 4", "concurrency: ‸0", "at least 1"),
    "execution-concurrency-many": Case("concurrency: 4", "concurrency: ‸10001", "at most 10000"),
    "execution-cache": Case("concurrency: 4", "cache: ‸reus", "did you mean 'reuse'"),
    "on-error-word": Case("{count_as: wrong, max_rate: 0.5}", "‸excluded", "did you mean 'exclude'"),
    "on-error-number": Case("{count_as: wrong, max_rate: 0.5}", "‸3", "a mapping"),
    "on-error-count-as": Case("count_as: wrong", "count_as: ‸worng", "did you mean 'wrong'"),
    "on-error-rate": Case("max_rate: 0.5", "max_rate: ‸1.5", "at most 1"),
    "on-error-unknown": Case("max_rate: 0.5", "‸rate: 0.5", "did you mean 'max_rate'"),
    # ── gates ─────────────────────────────────────────────────────────────────────────────────────────────────────
    "gates-list": Case("gates:\n  rules:\n", "gates:\n    ‸- {metric: free.rougeL, at_least: 0.1}\n", "a mapping"),
    "gates-no-rules": Case("  rules:\n", "  ‸rule:\n", "did you mean 'rules'"),
    "gates-unknown": Case("  rules:\n", "  ‸decideon: point\n  rules:\n", "did you mean 'decide_on'"),
    "gates-decide-on": Case("  rules:\n", "  decide_on: ‸intervals\n  rules:\n", "did you mean 'interval'"),
    "rule-no-metric": Case("{metric: free.rougeL, at_least: 0.1}", "‸{at_least: 0.1}", "metric"),
    "rule-no-dot": Case("metric: free.rougeL", "metric: ‸rougeL", "task.metric"),
    "rule-no-condition": Case("{metric: free.rougeL, at_least: 0.1}", "‸{metric: free.rougeL}", "exactly one of"),
    "rule-two-conditions": Case(
        "- {metric: free.rougeL, at_least: 0.1}",
        "- ‸{metric: free.rougeL, at_least: 0.1, at_most: 1}",
        "exactly one of",
    ),
    "rule-condition-text": Case("at_least: 0.1", 'at_least: ‸"0.1"', "without quotes"),
    "rule-regression-negative": Case("at_least: 0.1", "max_regression: ‸-0.1", "at least 0"),
    "rule-regression-no-baseline": Case("at_least: 0.1", "max_regression: ‸0.1", "needs gates.baseline"),
    "rule-unknown-task": Case("metric: free.rougeL", "metric: ‸fre.rougeL", "did you mean 'free'"),
    "rule-unknown-figure": Case("metric: free.rougeL", "metric: ‸free.rougeX", "did you mean 'rougeL'"),
    "rule-figure-of-other-task": Case("metric: free.rougeL", "metric: ‸free.accuracy", "no figure 'accuracy'"),
    "rule-figure-of-other-kind": Case("metric: free.rougeL", "metric: ‸pick.output_chars", "no figure"),
    "rule-unknown-model": Case("at_least: 0.1}", "at_least: 0.1, model: ‸gem}", "did you mean 'gen'"),
    "rule-model-not-of-task": Case("at_least: 0.1}", "at_least: 0.1, model: ‸api}", "does not run on"),
    "rule-group-form": Case("group: label=pos", "group: ‸label", "column=value"),
    "rule-group-column": Case("group: label=pos", "group: ‸lable=pos", "no group column"),
    "rule-tier": Case("tier: warn", "tier: ‸warning", "did you mean 'warn'"),
    "rule-unknown-key": Case("tier: warn", "‸level: warn", "unknown key 'level'"),
    "rule-text": Case("- {metric: free.rougeL, at_least: 0.1}", "- ‸free.rougeL > 0.1", "a mapping"),
}


def _text(case: Case, base: str) -> str:
    if not case.old:
        return case.new
    assert base.count(case.old) >= 1, "the case does not apply to the base"
    return base.replace(case.old, case.new, 1)


def _expected(text: str) -> tuple[int, int]:
    before, mark, _ = text.partition("‸")
    assert mark
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


@pytest.fixture
def check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., list[str]]:
    """Run `evalharness validate` on a file with these bytes; its messages, which must all have a place."""
    monkeypatch.setenv("KEY", "very-secret-value")
    monkeypatch.delenv("NOT_SET_ANYWHERE", raising=False)

    def run(content: bytes, *more: str) -> list[str]:
        path = tmp_path / "suite.yaml"
        path.write_bytes(content)
        assert main(["validate", str(path), "--level", "references", *more]) == 2
        lines = capsys.readouterr().err.splitlines()
        messages = [line for line in lines if not line.startswith("evalharness: ")]
        assert messages
        for line in messages:
            assert MESSAGE.match(line) or line.startswith("--set "), line
            assert not JARGON.search(line), line
            assert "very-secret-value" not in line
        return messages

    return run


@pytest.mark.parametrize("name", sorted(CASES))
def test_each_fault_is_reported_at_its_place(
    name: str, check: Callable[..., list[str]], base_text: str, tmp_path: Path
) -> None:
    marked = _text(CASES[name], base_text)
    expected = _expected(marked)
    messages = check(marked.replace("‸", "").encode())
    start = f"{tmp_path / 'suite.yaml'}:{expected[0]}:{expected[1]} "
    assert any(line.startswith(start) and CASES[name].says in line for line in messages), "\n".join(messages)


def test_the_corpus_is_large_and_its_faults_distinct() -> None:
    assert len(CASES) >= 300
    assert len({(case.old, case.new) for case in CASES.values()}) == len(CASES)


def test_the_base_has_no_fault(load_text: Callable[..., object], base_text: str) -> None:
    load_text(base_text)


def test_one_broken_entry_is_one_problem(tmp_path, capsys):
    # Not also "tasks must have at least 1 entry" for its list, nor "runs on no model" for the task of a broken model.
    whole = """\
version: 1
name: one
models: {m: {backend: fake}}
datasets: {d: {rows: [{id: a, q: x}]}}
tasks: [{id: t, dataset: d, prompt: "{{ q }}", metrics: [output_chars]}]
"""
    broken = {
        'prompt: "{{ q }}"': 'prompt: "{{ q }}", classify: "{{ q }}"',
        "{backend: fake}": "{backend: replay}",
        "rows: [{id: a, q: x}]": "rows: [1]",
    }
    for old, new in broken.items():
        (tmp_path / "suite.yaml").write_text(whole.replace(old, new))
        assert main(["validate", str(tmp_path / "suite.yaml")]) == 2
        assert "evalharness: 1 problem found" in capsys.readouterr().err, new
    (tmp_path / "suite.yaml").write_text(re.sub(r"tasks: .*", "tasks: []", whole))
    assert main(["validate", str(tmp_path / "suite.yaml")]) == 2
    assert "tasks: must have at least 1 entry; it has 0" in capsys.readouterr().err
