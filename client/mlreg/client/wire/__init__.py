"""The shapes of requests and answers, shared by the client and the API, one file per noun.

Requests refuse unknown keys; answers tolerate them, so that an older client reads a newer server.
"""
