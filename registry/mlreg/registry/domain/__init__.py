"""The registry's rules and values: names, digests, manifests, contracts, revisions, audit chain.

Pure: no I/O, no framework, no clock, no randomness. Values in, values out, or an error of
`errors.py`. Everyone may call it; it calls no one.
"""
