"""Tables and queries of the registry, and the door to PostgreSQL.

A query has a name and a sentence, takes a session, and decides nothing. Services call it; it calls
the domain only. The schema changes by a migration in `alembic/versions`, never otherwise.
"""
