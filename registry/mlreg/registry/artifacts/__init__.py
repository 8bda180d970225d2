"""Where bytes live: one protocol, `ArtifactStore`, and one file per backend (folder, S3).

What always holds: a blob is named by the sha256 of its bytes and never changes; `put` returns only
after the bytes were read back and hashed; a reader raises before it hands out the last piece of
bytes that do not hash to their name; a server's path or key is made from a digest alone, never
from anything that a user wrote. boto3 is imported in `s3.py` only.

Services call it, and the composition root opens it (`opening.open_store`); it knows the domain
and nothing of databases.
"""
