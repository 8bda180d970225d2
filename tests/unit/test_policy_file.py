"""The policy file: everything in it is typed, every error names line and key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlreg.controller.domain.durations import parse_duration, spell_duration
from mlreg.controller.domain.policy_file import InvalidPolicyError, Kinds, read_policy
from mlreg.controller.gates.kinds import gate_kinds
from mlreg.controller.triggers.kinds import trigger_kinds

KINDS = Kinds(trigger_kinds(), gate_kinds())
FILE = """\
model: flights
environment: production
data:      {source: feedback, train_window: 90d, evaluate_window: 14d, label_delay: 2d}
triggers:
  - {schedule: "0 3 * * 1", timezone: Europe/Berlin}
  - {labelled_rows: 20000}
  - {drift: psi, above: 0.2, features: any, windows: 2}
  - {performance: auc, drop: 0.02, against: promotion, min_rows: 2000}
combine:   any
cooldown:  6h
budget:    {runs_per_day: 4, train_seconds_per_week: 3600}
retrain:
  trainer: lightgbm
  params: {objective: binary, num_leaves: 31, learning_rate: 0.05}
  rounds: 200
  seed: 7
  lanes: {refit: {every: 1d}, continue: {every: 7d, rounds: 20, max_trees: 400}, full: {every: 28d}}
  outages: {features: [temp, wind_speed], share: 0.1}
gates:
  - {champion: auc, margin: 0.002}
  - {baseline: prior, metric: log_loss}
  - {slices: [origin, carrier], metric: auc, margin: 0.02, min_rows: 200}
guards:    [{metric: log_loss, worse_than_champion: 0.01}]
"""


def read(text):
    return read_policy(text, KINDS)


def problems(text):
    with pytest.raises(InvalidPolicyError) as caught:
        read(text)
    return caught.value.problems


def test_the_file_of_the_design_is_read():
    policy = read(FILE)
    assert [trigger.kind for trigger in policy.triggers] == [
        "schedule",
        "labelled_rows",
        "drift",
        "performance",
    ]
    assert len(policy.gates) == 3
    assert policy.combination.at_least == 1
    assert policy.auto_promote
    assert policy.retrain.lanes.continue_.max_trees == 400


def test_what_is_stored_can_be_read_again():
    import yaml

    policy = read(FILE)
    assert read(yaml.safe_dump(policy.to_json())).to_json() == policy.to_json()


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("seed: 7", "seed: true", "line 16: retrain.seed"),
        ("seed: 7", "seed: 7.5", "line 16: retrain.seed"),
        ("rounds: 200", "roundz: 200", "line 15: retrain.roundz: unknown key"),
        ("cooldown:  6h", "cooldown:  6 hours", "line 10: cooldown: a duration is"),
        ("cooldown:  6h", "cooldown:  0h", "line 10: cooldown: a duration is"),
        ("drift: psi", "drift: chi", "line 7: triggers[2].drift"),
        ("drift: psi", "drift: [psi]", "line 7: triggers[2].drift: must be a text"),
        ("drift: psi", "drift: {psi: 1}", "line 7: triggers[2].drift: must be a text"),
        ("above: 0.2, features", "features", "line 7: triggers[2]: needs `above: NUMBER`"),
        ("0 3 * * 1", "0 25 * * 1", "line 5: triggers[0].schedule: '25' is no hour"),
        ("Europe/Berlin", "Europe/Atlantis", "line 5: triggers[0].timezone"),
        ("above: 0.2", "above: -1", "line 7: triggers[2].above"),
        ("above: 0.2", "above: .nan", "line 7: triggers[2].above"),
        ("combine:   any", "combine: some", "line 9: combine"),
        ("combine:   any", "combine: {at_least: 5}", "line 9: combine: at_least 5 of only 4"),
        ("combine:   any", "combine: 2", "line 9: combine"),
        ("model: flights", "model: Flights", "line 1: model"),
        ("label_delay: 2d", "label_delay: 2", "line 3: data.label_delay"),
        ("objective: binary", "objective: {a: 1}", "line 14: retrain.params.objective"),
        ("every: 28d", "every: 2d", "line 17: retrain.lanes: a fuller lane"),
        ("champion: auc", "champion: nonsense", "line 20: gates[0].champion"),
        ("champion: auc", "champoin: auc", "line 20: gates[0]"),
        ("environment: production", "environment: &a production\nx: *a", "line 3: YAML aliases"),
        ("cooldown:  6h", "cooldown: 6h\ncooldown: 7h", "line 11: cooldown: a key"),
        ("[temp, wind_speed]", "[]", "line 18: retrain.outages.features"),
        ("share: 0.1", "share: 2013-01-01", "line 18: retrain.outages.share"),
        ("drift: psi", "drift: psi, labelled_rows: 3", "line 7: triggers[2]: must have exactly"),
    ],
)
def test_an_error_names_line_and_key(old, new, problem):
    (found,) = problems(FILE.replace(old, new))
    assert found.startswith(problem)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("rollout: {steps: [{shadow: 1d}]}", "rollout.steps"),
        ("approval: {by: 2}", "approval"),
        ("notify: [x]", "notify"),
    ],
)
def test_what_is_known_but_not_built_is_refused_as_such(text, place):
    (found,) = problems(FILE + text + "\n")
    assert place in found
    assert found.endswith("not yet supported")


def test_guards_that_are_not_built():
    (found,) = problems(FILE.replace("worse_than_champion: 0.01", "above: 0.01"))
    assert found.endswith("not yet supported")
    (found,) = problems(FILE.replace("metric: log_loss, worse", "metric: error_rate, worse"))
    assert found.endswith("not yet supported")


@pytest.mark.parametrize(
    "text",
    ["", "- 1", "a: [", "\x00", "model: flights", "5", "[" * 5000, "? {a: b}\n: c", "a: !!x 1"],
)
def test_what_is_no_policy_at_all(text):
    assert problems(text)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("retrain: {seed: 010}", "line 3: retrain.seed: '010' means 8 in YAML"),
        ("retrain: {seed: 1_0}", "line 3: retrain.seed: '1_0' means 10 in YAML"),
        ("cooldown: 12:30", "line 3: cooldown: '12:30' means 750 in YAML"),
        ("environment: no", "line 3: environment: 'no' means false in YAML"),
        ("on: true", "line 3: on: unknown key"),
        ("retrain: {seed: '7'}", "line 3: retrain.seed"),
        ("retrain: {params: {x: 1e999}}", "line 3: retrain.params.x: '1e999' is no finite number"),
        ("retrain: {params: {x: .nan}}", "line 3: retrain.params.x: '.nan' is no finite number"),
        ("retrain: {seed: 9007199254740992}", "line 3: retrain.seed: '9007199254740992' is too"),
        ("retrain: {params: {x: 2013-01-01}}", "line 3: retrain.params.x: '2013-01-01' is a date"),
        ('retrain: {params: {x: "a\\0"}}', "line 3: retrain.params.x: 'a\\x00' has control"),
        ('retrain: {params: {"a\\u202eb": 1}}', "line 3: retrain.params: the key 'a\\u202eb' has"),
        ("retrain: {outages: {features: [], share: 1}}", "line 3: retrain.outages.features: must"),
        ("guards: {}", "line 3: guards: must be a list"),
        ("memory: true", "line 3: memory: must have keys with values"),
        ("retrain: {rounds: 0}", "line 3: retrain.rounds: must be 1 or more"),
        ("cooldown: '6h", "line 4: while scanning a quoted scalar, found unexpected end"),
        ('cooldown: "\\ud800"', "line 3: cooldown: '\\ud800' is no"),
        ("cooldown: \uff16h", "line 3: cooldown: a duration is"),
        ("cooldown: -6h", "line 3: cooldown: a duration is"),
        ("cooldown: !!python/name:os.system x", "line 3: cooldown"),
        ("retrain: {seed: " + "9" * 5_000 + "}", "line 3: retrain.seed"),
        ("retrain: {params: " + "{a: " * 50 + "1" + "}" * 50 + "}", "line 3: nested too deeply"),
        ("retrain:\n\tseed: 1", "line 4: while scanning for the next token, found character"),
        (
            "---\nmodel: n",
            "line 3: expected a single document in the stream, but found another document",
        ),
        ("#" + "x" * 2**20, "a policy file has at most 65536 bytes"),
        ("a: &a [x, x]\nb: [*a, *a]", "line 4: YAML aliases are not supported"),
        ("guards: " + "[" + "{}, " * 21 + "]", "line 3: guards: at most 20, not 21"),
    ],
)
def test_what_a_yaml_file_may_do_to_its_reader(line, problem):
    (found,) = problems(f'model: m\ntriggers: [{{schedule: "0 3 * * *"}}]\n{line}\n')
    assert found.startswith(problem)
    assert len(found) < 200


def test_numbers_are_those_that_an_editor_sees():
    params = read(FILE.replace("learning_rate: 0.05", "learning_rate: 5e-2")).retrain.params
    assert params["learning_rate"] == 0.05


def test_ten_thousand_triggers_are_too_many():
    text = "model: m\ntriggers:\n" + "  - {labelled_rows: 1}\n" * 2_500
    assert problems(text) == ("line 2: triggers: at most 100, not 2,500",)


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("trigers:", "triggers"),
        ("roundz: 200", "rounds"),
        ("abov: 0.2", "above"),
        ("margn: 0.002", "margin"),
        ("max_tree: 400", "max_trees"),
        ("run_per_day: 4", "runs_per_day"),
        ("metrik: log_loss, worse", "metric"),
    ],
)
def test_an_unknown_key_names_the_one_that_was_perhaps_meant(written, key):
    meant = key + written[written.index(":") :]
    text = FILE.replace(meant, written)
    assert any(f"unknown key (did you mean {key}?)" in one for one in problems(text))


def test_a_word_that_is_like_no_key_has_no_other_named():
    (said,) = problems(FILE.replace("cooldown:", "zebra:"))
    assert said.endswith("zebra: unknown key")


def test_several_problems_are_told_at_once():
    found = problems(FILE.replace("seed: 7", "seed: x").replace("cooldown:  6h", "cooldown: x"))
    assert [one.partition(":")[0] for one in found] == ["line 10", "line 16"]


@given(st.text(max_size=200))
def test_any_text_is_a_policy_or_an_error_of_ours(text):
    with pytest.raises(InvalidPolicyError):
        read(text)


@given(st.integers(1, 999_999_999))
def test_durations_survive_spelling(seconds):
    length = parse_duration(f"{seconds}s")
    assert parse_duration(spell_duration(length)) == length
