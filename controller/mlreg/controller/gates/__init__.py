"""The gates that a policy may name: one file per kind, each a pydantic model of its keys.

What always holds: a gate judges a `Trial` and answers pass, fail or inconclusive with evidence; it
knows none of its siblings. `kinds.gate_kinds` lists them by the key that names them in a policy;
third parties add theirs by the entry point group `mlreg.gates`. Services call them, in the child
that judges; the base is `domain.gates.Gate`.
"""
