"""Bringing a model over from an MLflow registry, through nothing but its REST API.

`server.py` reads an MLflow server, `records.py` names what it answers, `mapping.py` says what of it
becomes which field of a version here, `importing.py` walks the versions and registers them.

What always holds: nothing of MLflow's is loaded or run, files are bytes; what MLflow did not record
is in the version's `missing` for ever, never guessed; importing twice imports once; MLflow is only
read. `importing` may be called by anyone, and calls the client's nouns like every user does.
"""
