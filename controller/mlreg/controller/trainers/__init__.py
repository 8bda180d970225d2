"""How models are trained: one file per kind of trainer, and the child's entry points.

What always holds: a trainer runs in a child process only (`child.py`; never in the API or the
controller); it sees a float64 matrix that the feature contract made, after the data steps; the same
rows, parameters and seeds give the same bytes (of a program of others: as far as it keeps to that);
a stateful lane starts only on a parent of the same contract and objective; a model is scored by the
trainer that made it.

The executor starts `mlreg.controller.trainers.child:train|score|judge`; services read result.json.
"""
