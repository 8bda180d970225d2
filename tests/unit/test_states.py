"""How one says that something is in a state."""

import pytest

from mlreg.client.states import became


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("queued", "is queued"),
        ("running", "is running"),
        ("succeeded", "has succeeded"),
        ("failed", "has failed"),
        ("cancelled", "was cancelled"),
        ("dead", "is dead"),
        ("asleep", "is asleep"),
    ],
)
def test_a_state_is_said_as_people_say_it(state, said):
    assert became(state) == said
