"""The records of the mechanics tables: what a table holds, and the Fact a question gets.

A protocol's table maps topic -> version -> Entry.  An entry that cannot change has no expiry; one
that people can change says who (`changeable_by`) and until when it may be repeated (`expires`).
An answer that several versions share by nature is marked `shared`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

AS_OF = "2026-11-01"
# How long a value that governance sets may be repeated: 90 and 180 days after AS_OF.
QUARTER = "2027-01-30"
HALF_YEAR = "2027-04-30"
NONE = "none"


class Fact(NamedTuple):
    """One fact: the short value that answers, and a note that explains.

    `expires` is the ISO date from which the value is no longer vouched for, None if it is fixed.
    """

    version: str
    topic: str
    qualifier: str | None
    value: str
    note: str
    source: str
    as_of: str
    protocol: str = "uniswap"
    expires: str | None = None
    changeable_by: str | None = None
    shared: bool = False


class Entry(NamedTuple):
    """A fact as a table holds it; `source` overrides the version's own."""

    value: str
    note: str
    source: str | None = None
    changeable_by: str | None = None
    expires: str | None = None
    shared: bool = False


Table = Mapping[str, Mapping[str, Entry]]


class Protocol(NamedTuple):
    """A protocol's versions with their sources, and its table."""

    name: str
    sources: Mapping[str, str]
    table: Table
