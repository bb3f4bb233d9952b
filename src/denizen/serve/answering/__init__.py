"""The Analyst's turn: which path a request takes, exact answers, checked claims, cited passages.

Contract: nothing heavy is imported here; `denizen.serve.service` puts the parts together.
"""
