"""The commands: one file per noun, each command is options, one call of the client, print.

Listed in `app.py`; a file here is imported only when one of its commands is called.
"""
