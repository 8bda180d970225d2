"""Recording a training where it runs: what it was made of, what it did, what it left.

`context.Training` is the block of `client.training(…)`; the other files are its parts: `records`
(what is logged), `sources` (the data), `tables` (digests of tables in memory), `features` (the
contract), `boosters` (models in memory), `footprint` (time and memory).
"""
