"""Benchmarks: one JSON a run in benchmarks/results, with command and machine facts."""
