"""How large each part of a request may be; every value a client may send has a bound here.

Contract: constants only.  The body as a whole is bounded by the setting serve.max_body, and the
prompt by the context of the model, which the service checks; nothing is ever cut silently.
"""

from __future__ import annotations

DEPTH = 64  # of a whole body
KEYS = 512  # of one object
MESSAGES = 256
PARTS = 64
TEXT = 1_000_000  # characters of one text
NAME = 256  # of models, users, identifiers
CHOICES = 8
STOPS = 4
STOP = 256
TOOLS = 64
CALLS = 64
DESCRIPTION = 8192
TOKENS = 131_072  # that may be asked for in one answer
ALTERNATIVES = 20  # logprobs of one token
METADATA = 16
FAMILIES = 64  # that one adapter answers
EMBEDDED = 256  # texts in one request
EMBEDDED_TEXT = 32_768  # characters of one of them
COMMENT = 4000
SCHEMA_DEPTH = 16
SCHEMA_NODES = 4000  # values in one schema
SCHEMA_TEXT = 4096  # characters of one string in a schema
PATTERN = 256  # characters of a regular expression in a schema
NUMBER = 78  # digits of one whole number: the largest uint256 has so many
ENUM = 512
