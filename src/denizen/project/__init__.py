"""The ground floor: configuration, workspace, artefacts with lineage, errors, progress."""

from denizen.project.atomic import atomic_path, atomic_write_bytes, atomic_write_text
from denizen.project.cache import cache_dir
from denizen.project.config import Config, load_config
from denizen.project.errors import (
    ArtefactError,
    ConfigError,
    DataError,
    DenizenError,
    DiskFullError,
    LeakError,
    TemplateError,
    TrainingError,
    WorkspaceError,
)
from denizen.project.hashing import (
    content_hash,
    sha256_bytes,
    sha256_file,
    sha256_tree,
    source_hash,
)
from denizen.project.progress import Bar
from denizen.project.store import Artefact, Run, Store, find_run, list_runs
from denizen.project.workspace import Workspace

__all__ = [
    "Artefact",
    "ArtefactError",
    "Bar",
    "Config",
    "ConfigError",
    "DataError",
    "DenizenError",
    "DiskFullError",
    "LeakError",
    "Run",
    "Store",
    "TemplateError",
    "TrainingError",
    "Workspace",
    "WorkspaceError",
    "atomic_path",
    "atomic_write_bytes",
    "atomic_write_text",
    "cache_dir",
    "content_hash",
    "find_run",
    "list_runs",
    "load_config",
    "sha256_bytes",
    "sha256_file",
    "sha256_tree",
    "source_hash",
]
