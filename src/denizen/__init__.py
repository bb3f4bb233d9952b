"""Denizen turns a small open model into a DeFi native, and proves it."""

__version__ = "0.1.0"
