"""The edge where errors end that nobody foresaw."""

from __future__ import annotations

import pytest

from mlreg.client.edge import Edge


def test_what_goes_wrong_is_told_and_ends_there():
    told = []
    for number in range(3):
        with Edge(told.append):
            raise ArithmeticError(number)
    assert [error.args for error in told] == [(0,), (1,), (2,)]
    assert all(error.__traceback__ is not None for error in told)


def test_what_goes_well_is_not_told():
    with Edge(pytest.fail):
        pass


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_ends_the_process_goes_through(end):
    with pytest.raises(end), Edge(pytest.fail):
        raise end


def test_errors_that_others_stop_go_through():
    told = []
    with pytest.raises(OSError, match="away"), Edge(told.append, but=(LookupError, OSError)):
        raise ConnectionError("away")
    assert not told


def test_who_is_told_may_say_it_in_other_words():
    def tell(error):
        raise ValueError("other words") from error

    with pytest.raises(ValueError, match="other words") as raised, Edge(tell):
        raise ArithmeticError("words")
    assert isinstance(raised.value.__cause__, ArithmeticError)
