"""The page about the search language is about the language that mlreg reads."""

import re
from pathlib import Path

from mlreg.registry.domain.search_fields import FIELDS, KINDS
from mlreg.registry.domain.search_language import (
    GRAMMAR,
    MAX_DEPTH,
    MAX_LENGTH,
    MAX_TERMS,
    parse_query,
)
from mlreg.registry.domain.search_terms import condition_of

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "search.md").read_text()


def test_every_example_is_a_query():
    examples = re.findall(r"mlreg search (?:-- )?'([^']+)'", PAGE)
    assert len(examples) >= 4
    for example in examples:
        if "auc>high" not in example:
            condition_of(parse_query(example))


def test_the_table_is_the_table_of_the_code():
    for name, found in FIELDS.items():
        key = ".KEY" if found.keyed else ""
        row = f"| `{name}{key}` | {KINDS[found.kind]} | {found.meaning} | `{found.example}` |"
        assert row in PAGE
    assert len(re.findall(r"^\| `[a-z_]+(?:\.KEY)?` \|", PAGE, re.MULTILINE)) == len(FIELDS)


def test_the_grammar_is_the_grammar_of_the_code():
    (grammar,) = re.findall(r"```lark\n(.*?)```", PAGE, re.DOTALL)
    assert grammar.strip() == GRAMMAR.strip()


def test_the_bounds_are_those_of_the_code():
    assert f"{MAX_LENGTH:,} characters, {MAX_TERMS} terms" in PAGE
    assert f"parentheses {MAX_DEPTH} deep" in PAGE
