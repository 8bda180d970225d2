"""The fields that a search can ask for: one table, read by the parser, the index and the docs.

What always holds: a field that is not in `FIELDS` is refused; a field says which kind of values it
has, whether a key follows its dot, and where its numbers come from in a version's row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "digest", "number", "moment", "value", "member", "package", "champion"]


@dataclass(frozen=True, slots=True)
class SearchField:
    """One field of the language.

    Attributes:
        kind: what its values are, and so which operators it takes.
        meaning: a phrase for the reference.
        example: a term that asks for it.
        keyed: whether `field.KEY` is asked for, not `field`.
        facts: the key of its facts in the index, where that is not its name.
    """

    kind: Kind
    meaning: str
    example: str
    keyed: bool = False
    facts: str = ""


FIELDS: dict[str, SearchField] = {
    "model": SearchField("text", "the model's name", "model:flights"),
    "version": SearchField("number", "the version's number", "version>=100"),
    "lane": SearchField("text", "how it was trained: full, continue or refit", "lane:refit"),
    "trainer": SearchField("text", "what trained it", "trainer:lightgbm"),
    "flavour": SearchField("text", "the kind of its files", "flavour:lightgbm-text"),
    "trained_by": SearchField("text", "who trained it, else who registered it", "trained_by:ci"),
    "by": SearchField("text", "who registered it", "by:ci"),
    "created": SearchField("moment", "when it was registered", "created>2026-01-01"),
    "trained_until": SearchField(
        "moment", "the end of the rows that it learnt from", "trained_until<2026-03"
    ),
    "duration": SearchField("number", "seconds that the training took", "duration>3600"),
    "memory": SearchField("number", "the training's peak of memory in bytes", "memory>8e9"),
    "parent": SearchField("number", "the version that it was continued from", "parent:12"),
    "run": SearchField("number", "the run that made it", "run:7"),
    "git": SearchField("digest", "the commit, or the beginning of it", "git:3f2a"),
    "dirty": SearchField("text", "whether the tree had changes: true or false", "dirty:true"),
    "remote": SearchField("text", "the repository", "remote:https://github.com/acme/*"),
    "data": SearchField("digest", "the digest of a snapshot or file of data", "data:sha256:9f86"),
    "artifact": SearchField("digest", "the digest of its manifest", "artifact:sha256:e3b0"),
    "contract": SearchField("digest", "the digest of its feature contract", "contract:sha256:a1"),
    "features": SearchField("member", "a feature that it reads", "features:temp"),
    "package": SearchField(
        "package", "the version of an installed package", "package.lightgbm=4.6", keyed=True
    ),
    "python": SearchField("text", "the interpreter", 'python:"CPython 3.11"*'),
    "platform": SearchField("text", "the operating system", "platform:Linux*"),
    "missing": SearchField("text", "a field of the provenance that lacks", "missing:git"),
    "params": SearchField("value", "a hyperparameter", "params.num_leaves>31", keyed=True),
    "metric": SearchField("number", "a metric as it was recorded", "metric.auc>=0.8", keyed=True),
    "seed": SearchField("number", "a seed", "seed.seed=7", keyed=True),
    "tag": SearchField("text", "a tag", "tag.team=risk", keyed=True),
    "champion": SearchField("champion", "it serves in that environment now", "champion:production"),
}
KINDS: dict[Kind, str] = {
    "text": "a text",
    "digest": "hexadecimal digits",
    "number": "a number",
    "moment": "a year, month, day or moment in UTC",
    "value": "a number or a text",
    "member": "a text",
    "package": "a version number",
    "champion": "an environment",
}
ORDERED: frozenset[Kind] = frozenset({"number", "moment", "value", "package"})
STARRED: frozenset[Kind] = frozenset({"text", "digest", "value", "member", "package"})
