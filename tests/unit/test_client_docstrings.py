"""Every noun of the client is shown in use, by calls that exist."""

import ast
import re
import textwrap
from functools import cached_property

import pytest

from mlreg.client.client import Client


def nouns():
    for name, attribute in vars(Client).items():
        if isinstance(attribute, cached_property):
            yield name


def examples(docstring):
    blocks = re.findall(r"```python\n(.*?)```", docstring or "", re.DOTALL)
    return [textwrap.dedent(block) for block in blocks]


NOUNS = (
    *("models", "versions", "deployments", "log", "policies", "runs", "decisions", "snapshots"),
    *("monitors", "incidents", "audit", "tokens", "clock", "environments"),
)


def test_the_nouns_are_those_of_the_client():
    assert set(NOUNS) <= set(nouns())


@pytest.mark.parametrize("noun", [*NOUNS, "client"])
def test_a_noun_is_shown_in_use(noun):
    with Client("http://127.0.0.1:1", "token") as client:
        kind = Client if noun == "client" else type(getattr(client, noun))
        shown = examples(kind.__doc__)
        assert shown
        for example in shown:
            for call in ast.walk(ast.parse(example)):
                if isinstance(call, ast.Call) and ast.unparse(call.func).startswith("client."):
                    found = client
                    for part in ast.unparse(call.func).split(".")[1:]:
                        found = getattr(found, part)
                    assert callable(found)
