"""Scoring as a serving application does it: the champion's model file, checked, and its contract.

What always holds: a model file is parsed in this process only after its digest was checked, its
structure was validated in Python and a child process with limits has parsed it; category codes are
those of the feature contract; a scorer never goes back to a lower revision of one incarnation, and
keeps serving its last verified champion while the registry is away.

Needs the extra `score`. Applications use `scorer.Scorer`; the controller's children use the rest.
"""
