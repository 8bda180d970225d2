import pytest
from sqlalchemy import make_url

from tests.faults import workers


@pytest.fixture
def effect_table(postgres, database_url):
    """A table in which the jobs of the tests leave one row per effect."""
    workers.make_effect_table(postgres.url(make_url(database_url).database))
