"""Serving: the Analyst that answers exactly, and the HTTP endpoint in front of it."""

from denizen.serve.analyst import Analyst, Answer
from denizen.serve.app import create_app, message_text
from denizen.serve.background import serving

__all__ = ["Analyst", "Answer", "create_app", "message_text", "serving"]
