"""What goes over the wire: one file of pydantic models per noun, used by the API and the client.

What always holds: a request with an unknown field is refused; an answer with one is accepted, so
that an older client can read a newer server.
"""
