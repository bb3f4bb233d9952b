"""Differential certification: the engine against real contract bytecode, case by case."""

from denizen.evm.certify.outcome import Contract, Outcome, Tally

__all__ = ["Contract", "Outcome", "Tally"]
