"""Invariants: what a user declares to hold in a model's rows, wherever they come from.

One file per kind: its typed fields are the keys of its declaration, its `check` is what it means.
The same objects check training snapshots (a run, `mlreg invariant check`) and the feedback log.

What always holds: a check is pure and vectorised: rows in, a finding out, no loop over rows in
Python; a row in which a value that it needs is missing is not checked (`not_null` is about that);
no kind knows another one; patterns are matched by RE2, in time linear in the text.

`file.py` reads the YAML and names the line of every problem; `kinds.py` lists the kinds.
"""
