"""Whole protocols deployed in the embedded EVM, ready to be driven and read."""
