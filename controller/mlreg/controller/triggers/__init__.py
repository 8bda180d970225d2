"""The triggers that a policy may name: one file per kind, each a pydantic model of its keys.

What always holds: a trigger is pure: it is shown a view (times and the readings that it asked for)
and answers whether it holds, with the readings that it rests on; readings of outages, of windows
that may still change and of empty windows count for nothing; it knows none of its siblings.

`kinds.trigger_kinds` lists them by the key that names them in a policy; third parties add theirs by
the entry point group `mlreg.triggers`. Services call them; the base is `domain.triggers.Trigger`.
"""
