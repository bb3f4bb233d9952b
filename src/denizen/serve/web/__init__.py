"""The HTTP endpoint: routes, bodies, streams and errors over the service and its operations.

Contract: `create_server` in app.py is the one entrance; it is imported from there, for it needs
FastAPI.  The shapes of bodies and answers are those of `denizen.serve.api`.
"""
