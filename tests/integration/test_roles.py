"""The service's role on a real server: it serves, and cannot rewrite history."""

import psycopg
import pytest


@pytest.fixture
def service(database_url):
    with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as connection:
        yield connection


def test_the_service_is_no_superuser_and_owns_nothing(service):
    query = (
        "SELECT rolsuper, rolcreaterole, rolbypassrls FROM pg_roles WHERE rolname = current_user"
    )
    assert service.execute(query).fetchone() == (False, False, False)
    owned = "SELECT count(*) FROM pg_tables WHERE tableowner = current_user"
    assert service.execute(owned).fetchone() == (0,)


@pytest.mark.parametrize("table", ["audit_entry", "revision"])
@pytest.mark.parametrize("verb", ["DELETE FROM {}", "TRUNCATE {}", "UPDATE {} SET actor = 'x'"])
def test_history_is_append_only(service, table, verb):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        service.execute(verb.format(table))


def test_even_the_owner_is_stopped_by_the_trigger(postgres, service):
    with (
        psycopg.connect(
            f"host={postgres.socket_folder} user=mlreg_owner dbname={service.info.dbname}"
        ) as owner,
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"),
    ):
        owner.execute("DELETE FROM audit_entry")


def test_the_drain_may_empty_a_slot(service):
    service.execute("TRUNCATE waiting_batch_0")


def test_migrations_are_closed_to_the_service(service):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        service.execute("CREATE TABLE mine (id int)")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        service.execute("UPDATE alembic_version SET version_num = 'x'")


def test_nobody_else_may_connect(postgres):
    rules = (postgres.cluster / "pg_hba.conf").read_text()
    assert "trust" not in rules
    assert (postgres.cluster.stat().st_mode & 0o777) == 0o700
    with pytest.raises(psycopg.OperationalError, match=r"[Pp]eer authentication failed"):
        psycopg.connect(f"host={postgres.socket_folder} user=somebody dbname=postgres")
