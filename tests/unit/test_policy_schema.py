"""The JSON Schema of a policy and the reader of policies are one language."""

import re
from pathlib import Path
from typing import ClassVar

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from mlreg.controller.domain.number_pattern import between
from mlreg.controller.domain.policy_file import InvalidPolicyError, Kinds, read_policy
from mlreg.controller.domain.policy_schema import policy_schema
from mlreg.controller.domain.triggers import Finding, Trigger
from mlreg.controller.domain.watchable import WATCHABLE
from mlreg.controller.domain.zone import named_zones
from mlreg.controller.services.policy_texts import kinds
from mlreg.controller.triggers.performance import METRICS
from tests.unit.test_policy_file import FILE

ROOT = Path(__file__).parents[2]
SCHEMA = policy_schema(kinds())
VALIDATOR = Draft202012Validator(SCHEMA)
BLOCK = re.compile(r"^( *)```ya?ml\n(.*?)^ *```", re.DOTALL | re.MULTILINE)


class MoonTrigger(Trigger):
    """Holds at full moon.

    Attributes:
        moon: the phase,
            in words.
    """

    kind: ClassVar[str] = "moon"
    moon: str

    def judge(self, view):
        return Finding(holds=bool(view), because=self.moon)


def policies():
    """Yield every policy that we publish: whole files, and what pages show whole."""
    for path in (*ROOT.glob("examples/**/*policy*.yaml"), ROOT / "cli/mlreg/cli/demo/policy.yaml"):
        yield str(path.relative_to(ROOT)), path.read_text()
    for page in sorted((ROOT / "docs").rglob("*.md")):
        for number, (_, block) in enumerate(BLOCK.findall(page.read_text())):
            if re.search(r"^model:", block, re.MULTILINE) and "\ntriggers:" in block:
                yield f"{page.name}:{number}", block


PUBLISHED = [pytest.param(text, id=name) for name, text in policies()]


def test_it_is_a_schema():
    Draft202012Validator.check_schema(SCHEMA)
    assert len(PUBLISHED) > 3


@pytest.mark.parametrize("text", [FILE, *PUBLISHED])
def test_every_policy_that_we_publish_is_valid_by_both(text):
    policy = read_policy(text, kinds())
    VALIDATOR.validate(yaml.safe_load(text))
    VALIDATOR.validate(policy.to_json())


MUTANTS = [
    ("seed: 7", "seed: seven"),
    ("seed: 7", "seed: '7'"),
    ("seed: 7", "seed: true"),
    ("seed: 7", "seed: -1"),
    ("seed: 7", "sed: 7"),
    ("rounds: 200", "rounds: 0"),
    ("cooldown:  6h", "cooldown: 6 hours"),
    ("cooldown:  6h", "cooldown: -6h"),
    ("cooldown:  6h", "cooldown: 6"),
    ("model: flights", "model: Flights"),
    ("model: flights", "model: [flights]"),
    ("model: flights", "model: flüge"),
    ("model: flights\n", ""),
    ("combine:   any", "combine: some"),
    ("combine:   any", "combine: 2"),
    ("combine:   any", "combine: {at_least: 0}"),
    ("drift: psi", "drift: psi, labelled_rows: 3"),
    ("drift: psi, ", ""),
    ("windows: 2", "windows: no"),
    ("{labelled_rows: 20000}", "{labelled_rows: 0}"),
    ("{labelled_rows: 20000}", "labelled_rows"),
    ("champion: auc", "champion: nonsense"),
    ("margin: 0.002", "margin: -0.002"),
    ("guards:    [{", "guards:    [{above: 1, "),
    ("share: 0.1", "share: 10%"),
    ("objective: binary", "objective: {a: b}"),
    ("triggers:", "triggerz:"),
    ("drift: psi", "drift: pssi"),
    ("drift: psi", 'drift: "business:Sales"'),
    ("performance: auc", "performance: aucc"),
    ("0 3 * * 1", "0 3 * *"),
    ("Europe/Berlin", "Europe/Bärlin"),
    ("{labelled_rows: 20000}", "{upstream: weather@best}"),
    ("{labelled_rows: 20000}", '{upstream: "weather@version:staging"}'),
    ("cooldown:  6h", 'quiet_hours: {from: "25:00", to: "06:00"}'),
    ("cooldown:  6h", "quiet_hours: {days: [sun], timezone: Mars}"),
    ("cooldown:  6h", "quiet_hours: {days: []}"),
    ("cooldown:  6h", 'quiet_hours: {from: "22:00"}'),
    ("cooldown:  6h", "cooldown: 36501d"),
    ("{labelled_rows: 20000}", "{every: 59s}"),
    ("above: 0.2, ", ""),
    ("above: 0.2, ", "above: 0.2, below: 0.1, "),
    ("above: 0.2, ", "unusual: false, "),
    ("above: 0.2, ", "unusual: true, release_below: 0.1, "),
    ("above: 0.2, ", "below: 0.2, release_below: 0.1, "),
    ("features: any", "features: []"),
    ("drift: psi, above: 0.2, features: any", "drift: rows, below: 2, features: [temp]"),
    ("drop: 0.02, against: promotion, ", ""),
    ("drop: 0.02, against: promotion, ", "drop: 0.02, below: 0.7, "),
    ("drop: 0.02, against: promotion, ", "below: 0.7, against: promotion, "),
    ("label_delay: 2d", "window: 7h"),
    ("label_delay: 2d", "window: 36h"),
    ("label_delay: 2d", "window: 90m"),
    ("label_delay: 2d", "window: 30s"),
    ("label_delay: 2d", "timezone: UTC"),
    ("label_delay: 2d", "features: {temp: t}"),
    ("label_delay: 2d", "select: {stratified: [carrier]}"),
    ("label_delay: 2d", "select: {stratified: [carrier, carrier], least: 5}"),
    ("label_delay: 2d", "select: {expanding: yesterday}"),
    ("label_delay: 2d", 'select: {expanding: "2013-01-01"}'),
    ("label_delay: 2d", 'select: {reservoir: 500, since: "2013-01-01T00:00:00"}'),
    ("seed: 7", "limits: {wall: 8d}"),
    ("seed: 7", "limits: {memory: 511MiB}"),
    ("seed: 7", "limits: {memory: 1000}"),
    ("seed: 7", "search: {params: {num_leaves: []}}"),
]


@pytest.mark.parametrize(("old", "new"), MUTANTS)
def test_what_one_refuses_the_other_refuses(old, new):
    text = FILE.replace(old, new)
    assert text != FILE
    with pytest.raises(InvalidPolicyError):
        read_policy(text, kinds())
    assert not VALIDATOR.is_valid(yaml.safe_load(text))


TAKEN = [
    *(f"triggers: [{{drift: {name}, above: 0.9}}]" for name in sorted(WATCHABLE)),
    'triggers: [{drift: "business:sales.net", above: 2}]',
    *(
        f"triggers: [{{performance: {name}, drop: 0.1, against: history}}]"
        for name in METRICS
        if name != "bias"  # no side of it is worse
    ),
    "triggers: [{performance: skill_auc, below: 0.1}]",
    *(f'triggers: [{{upstream: "w{what}"}}]' for what in ("", "@snapshot", "@champion:a.b")),
    "triggers: [{schedule: ' */5  3 */2 jan-mar,5  mon '}]",
    'triggers: [{every: 1d}]\nquiet_hours: {from: "23:59", to: "00:00", timezone: Asia/Kolkata}',
    *(f"triggers: [{{every: {one}}}]" for one in ("60s", "1m", "36500d", "876000h", "999999999s")),
    *(
        f"triggers: [{{every: 1d}}]\ndata: {{window: {one}}}"
        for one in (
            "1h",
            "3600s",
            "720m",
            "48h",
            "1440m",
            "2w",
            "12h",
            "8760h",
            "86400s",
            "172800s",
        )
    ),
    "triggers: [{drift: concept_adwin}]",
    "triggers: [{drift: psi, unusual: true, above: 0.1, release_below: 0.05, features: [a]}]",
    'triggers: [{every: 1d}]\ndata: {select: {expanding: "2013-01-01T00:00:00+02:00"}}',
    'triggers: [{every: 1d}]\ndata: {select: {reservoir: 500, since: "2013-01-01 00:00Z"}}',
    "triggers: [{every: 1d}]\nretrain: {limits: {wall: 168h, memory: 512MiB, disk: 1MiB}}",
    "triggers: [{every: 1d}]\nretrain: {executor: {kind: ray, memory: 536870912}}",
    "triggers: [{every: 1d}]\ndata: {source: /rows.parquet, timezone: UTC, connection: a}",
    "triggers: [{every: 1d}]\ndata: {sql: {connection: a, query: SELECT 1}, time: t}",
]


@pytest.mark.parametrize("text", TAKEN)
def test_what_the_reader_takes_the_schema_takes(text):
    text = f"model: flights\n{text}\n"
    policy = read_policy(text, kinds())
    VALIDATOR.validate(yaml.safe_load(text))
    VALIDATOR.validate(policy.to_json())


@given(st.integers(1, 20_000), st.integers(0, 20_000), st.integers(1, 60_000))
def test_a_pattern_of_numbers_is_of_those_between(least, more, number):
    matches = re.fullmatch(between(least, least + more), str(number)) is not None
    assert matches == (least <= number <= least + more)


@given(st.integers(1, 999_999_999), st.sampled_from("smhdw"))
def test_a_duration_is_one_to_both(number, unit):
    text = f"model: flights\ntriggers: [{{webhook: a}}]\ncooldown: {number}{unit}\n"
    try:
        read_policy(text, kinds())
    except InvalidPolicyError:
        assert not VALIDATOR.is_valid(yaml.safe_load(text))
    else:
        VALIDATOR.validate(yaml.safe_load(text))


def test_every_zone_is_offered_that_a_policy_may_name():
    assert set(SCHEMA["$defs"]["Timezone"]["enum"]) == named_zones()


def test_every_key_and_kind_is_described_and_third_parties_are_in_it():
    schema = policy_schema(Kinds({**kinds().triggers, "moon": MoonTrigger}, kinds().gates))
    (moon,) = [one for name, one in schema["$defs"].items() if name.startswith("moon:")]
    assert moon["description"] == "Holds at full moon."
    assert moon["properties"]["moon"]["description"] == "the phase, in words."
    text = "model: m\ntriggers: [{moon: full}]\n"
    assert Draft202012Validator(schema).is_valid(yaml.safe_load(text))
    assert not VALIDATOR.is_valid(yaml.safe_load(text))
    parts = {**SCHEMA["$defs"], "policy": SCHEMA}
    assert [name for name, one in parts.items() if "description" not in one] == []


def test_no_key_takes_just_anything():
    loose = [
        f"{name}.{key}"
        for name, part in {**SCHEMA["$defs"], "policy": SCHEMA}.items()
        for key, value in part.get("properties", {}).items()
        if not value.keys() & {"type", "anyOf", "oneOf", "allOf", "$ref", "enum", "const"}
    ]
    assert loose == []
    closed = [one for one in SCHEMA["$defs"].values() if one.get("type") == "object"]
    assert all(one["additionalProperties"] is False for one in closed)


def test_every_key_says_what_it_means():
    """An editor shows it at the key, or at the definition that the key refers to."""
    silent = [
        f"{name}.{key}"
        for name, one in {"policy": SCHEMA, **SCHEMA["$defs"]}.items()
        for key, value in one.get("properties", {}).items()
        if not value.get("description") and not _refers_to_what_is_described(value)
    ]
    assert silent == []


def _refers_to_what_is_described(value):
    members = [value, *value.get("anyOf", ())]
    named = [one["$ref"].rpartition("/")[2] for one in members if "$ref" in one]
    return bool(named) and all(SCHEMA["$defs"][name].get("description") for name in named)
