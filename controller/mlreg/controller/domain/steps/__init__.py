"""Data steps: what is done to the rows of a training before the trainer sees them.

What always holds: a step is pure (rows, contract and seed in, rows and a record out), is applied to
training rows only, never where models are judged or profiles are made, and gives the same rows for
the same seed. One file per step; `kinds.py` knows them all.
"""
