"""Places outside PostgreSQL that keep signed checkpoints of the audit log, and the key.

What always holds: a witness only ever adds; what it keeps is a whole signed note, so that anybody
with the verifier key can hold it against the log, without this software. Called by the chore that
signs, and by the composition roots.
"""
