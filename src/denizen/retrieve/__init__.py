"""Retrieval: documents into an index, questions into cited passages, or "not in the sources"."""

from denizen.retrieve.documents import Chunk, Document
from denizen.retrieve.encoder import Encoder, load_encoder
from denizen.retrieve.fetching import Limits, UrlList, source_of
from denizen.retrieve.index import Index, open_index
from denizen.retrieve.ingest import IngestReport, ingest
from denizen.retrieve.postgres_store import PostgresStore
from denizen.retrieve.results import NOT_IN_SOURCES, Citation, Freshness, Hit, SearchResult, holds
from denizen.retrieve.search import Settings, search
from denizen.retrieve.sources import Folder, Raw, Source, Stated, Unread
from denizen.retrieve.sqlite_store import SQLiteStore
from denizen.retrieve.store import Quarantined, Store

__all__ = [
    "NOT_IN_SOURCES",
    "Chunk",
    "Citation",
    "Document",
    "Encoder",
    "Folder",
    "Freshness",
    "Hit",
    "Index",
    "IngestReport",
    "Limits",
    "PostgresStore",
    "Quarantined",
    "Raw",
    "SQLiteStore",
    "SearchResult",
    "Settings",
    "Source",
    "Stated",
    "Store",
    "Unread",
    "UrlList",
    "holds",
    "ingest",
    "load_encoder",
    "open_index",
    "search",
    "source_of",
]
