"""The two languages the server speaks, as pure functions: bodies in, exchange types, bodies out.

Contract: nothing here does input or output or knows of HTTP; a body that cannot be honoured raises
a Fault naming the parameter.  `openai/` and `ollama/` hold one dialect each.
"""
