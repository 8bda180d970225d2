"""The command line and the composition of the processes.

A command is: options, one call of the client, print. `server.py` is the one place that plugs
database, artifact store, clock, API, controller and worker together. Commands import late, so that
`mlreg --help` and `mlreg status` start fast.
"""
