"""The server put together from denizen.yaml: backend, index, guard, router, traces, operations.

Contract: everything that can be wrong (a missing index, one of another embedder, an adapter that
does not fit, a key that is not in the environment, a skill without adapter) is one typed error
before anything is served, and what had been opened is closed again.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, cast

from denizen.project.config import Config
from denizen.project.errors import ConfigError
from denizen.serve.exchange import AHEAD

if TYPE_CHECKING:
    from denizen.models.embedder import Vectors
    from denizen.retrieve import Encoder, Index
    from denizen.serve.operations import Operations
    from denizen.serve.operations.metrics import Metrics
    from denizen.serve.route import Router
    from denizen.serve.service import Service
    from denizen.tasks import Suite


# A harness asks as fast as it can, and waits.
EXAM_QUEUE, EXAM_SECONDS = 4096, 3600.0


class LazyEncoder:
    """The standard embedder, loaded when first used and shared by all; it keeps no texts.

    The index has one of its own, whose cache on the disk is for passages and not for questions.
    """

    def __init__(self, load: Callable[[], Encoder]) -> None:
        self._load, self._lock = load, Lock()
        self._made: Encoder | None = None

    @property
    def id(self) -> str:
        """The embedder's own."""
        return self.encoder().id

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors, float32 [n, 384]; raises ArtefactError without the embedder's files."""
        return self.encoder().embed(texts)

    def count(self, texts: Sequence[str]) -> list[int]:
        """Word pieces of each text."""
        return self.encoder().count(texts)

    def encoder(self) -> Encoder:
        """The embedder itself."""
        with self._lock:
            if self._made is None:
                self._made = self._load()
            return self._made


def build(
    config: Config, workspace: Path, gguf: Path | None, *, documents: bool = True
) -> tuple[Service, Operations]:
    """The service and its operations; raises DenizenError.

    `gguf` is the file to serve, None where another server writes (serve.backend: openai); without
    `documents` no index is opened, the workspace's own neither.
    """
    from denizen.serve.operations import Operations

    # First: a server that may not start need not load a model.
    ahead = AHEAD if config.serve.backend == "llama.cpp" else 0
    operations = Operations.from_config(config.serve, workspace, ahead=ahead)
    try:
        made = build_service(
            config, workspace, gguf, metrics=operations.metrics, documents=documents
        )
        return made, operations
    except BaseException:
        operations.close()
        raise


def build_service(
    config: Config,
    workspace: Path,
    gguf: Path | None,
    *,
    metrics: Metrics | None = None,
    documents: bool = True,
) -> Service:
    """The service alone, for one question in this process; raises DenizenError."""
    from denizen.retrieve import load_encoder
    from denizen.serve.backend import open_backend
    from denizen.serve.guard import Shield
    from denizen.serve.operations import redact
    from denizen.serve.route import Auditor, Budget, Upstream
    from denizen.serve.service import Service
    from denizen.serve.traces import Tracer
    from denizen.tasks import suite_of

    importlib.import_module("denizen.evaluate.suites.grounding_claims")  # not by a first request
    suite = suite_of(config.data.families)
    _check_adapters(config, release_name(config, gguf))
    upstream = Upstream.from_config(config.route)
    if upstream is not None and metrics is None:
        upstream.budget = Budget(1.0, 1)  # one question is no stream of which a share may leave
    with ExitStack() as opened:
        index = open_sources(config, workspace) if documents else None
        if index is not None:
            opened.callback(index.close)
        embedder = LazyEncoder(load_encoder)
        # A function: the shield then goes on with its rules where there is no embedder.
        encoder = cast(Any, embedder.encoder)
        tell = None if metrics is None else metrics.guarded
        shield = Shield.from_config(config.shield, workspace, embedder=encoder, tell=tell)
        router, stale = _router(config, suite, workspace, gguf, embedder, index)
        auditor = None
        if upstream is not None and router is not None and config.route.audit:
            calibrated = router.calibration.created
            auditor = Auditor.from_config(config.route, workspace, calibrated)
        backend = open_backend(config.serve, gguf, config.export.context)
        opened.callback(lambda: asyncio.run(backend.close()))
        tracer = Tracer.from_config(config.traces, workspace, redact)
        opened.callback(tracer.close)
        service = Service(
            backend,
            suite,
            name=release_name(config, gguf),
            config=config,
            tracer=tracer,
            shield=shield,
            router=router,
            upstream=upstream,
            auditor=auditor,
            index=index,
            encoder=embedder,
            told=metrics,
            stale=stale,
            created=int(gguf.stat().st_mtime) if gguf else 0,
            artefacts=workspace / "artefacts",
        )
        if metrics is not None:
            metrics.model(service.names.release, backend.facts.quant)
            metrics.route(
                budget=upstream.budget.to_json if upstream else None,
                audits=auditor.to_json if auditor else None,
                calibrated=router is not None,
                why=stale,
            )
            metrics.traces(tracer.counts)
            tracer.tell_losses(metrics.trace_lost)
        opened.pop_all()
    return service


def examined(config: Config, workspace: Path, gguf: Path) -> tuple[Any, Callable[[], None]]:
    """The server of a model alone, for other harnesses, and what closes it.

    Its answers are its own: no stronger model, no documents, nobody's keys or limits, no traces;
    and an exam question is no attack.
    """
    from denizen import __version__
    from denizen.project.config import RouteConfig, TraceConfig
    from denizen.serve.web.app import create_server

    serve = config.serve.model_copy(
        update={
            **{"host": "127.0.0.1", "keys": "off", "index": "", "postgres": ""},
            **{"requests_per_minute": 0, "tokens_per_minute": 0},
            **{"queue": EXAM_QUEUE, "queue_seconds": EXAM_SECONDS, "request_seconds": EXAM_SECONDS},
        }
    )
    shield = config.shield.model_copy(
        update={
            "injection": "off",
            "moderation_url": "",
            "moderation_key_env": "",
            "coverage": 0,
            "fingerprints": 0,
        }
    )
    alone = config.model_copy(
        update={
            **{"serve": serve, "shield": shield, "route": RouteConfig()},
            "traces": TraceConfig(store=False, days=config.traces.days),
        }
    )
    service, operations = build(alone, workspace, gguf, documents=False)
    app = create_server(
        service, operations, name=service.names.release, version=__version__, settings=serve
    )

    def close() -> None:
        asyncio.run(service.close())
        operations.close()

    return app, close


def _router(
    config: Config, suite: Suite, workspace: Path, gguf: Path | None, embedder: LazyEncoder,
    index: Index | None,
) -> tuple[Router | None, str]:  # fmt: skip
    """The calibrated router of what is served, else why the calibration that is there is not used.

    Another server tells no margins: nothing is calibrated for it.  Raises ArtefactError for a
    damaged file.
    """
    from denizen.project.hashing import sha256_file
    from denizen.serve.route import NotCalibrated, Router, depends_on
    from denizen.serve.route.calibration import file_of

    if gguf is None or not file_of(workspace).exists():
        return None, ""
    try:
        now = depends_on(config, suite, sha256_file(gguf), index)
        return Router.load(workspace, now, embedder), ""
    except NotCalibrated as error:
        return None, error.what


def intake_of(service: Service) -> Callable[[bytes, str], Awaitable[bytes]] | None:
    """What takes OTLP from outside (body, content type); None where no traces are kept."""
    tracer: Any = service.parts.tracer
    if getattr(tracer, "store", None) is None:
        return None

    async def take(body: bytes, kind: str) -> bytes:
        answer, _ = await tracer.otlp_in(body, kind, "")
        return bytes(answer)

    return take


def release_name(config: Config, gguf: Path | None) -> str:
    """The model's name as clients ask for it."""
    if config.serve.backend == "openai":
        return config.serve.backend_model
    return gguf.stem if gguf is not None else config.name


def open_sources(config: Config, workspace: Path) -> Index | None:
    """The index of serve.index or serve.postgres, else the workspace's own if it has one.

    None without any; raises DenizenError.
    """
    place, postgres = config.serve.index, config.serve.postgres
    if not place and not postgres and (own := workspace / "index").is_dir():
        place = str(own)
    if not place and not postgres:
        return None
    from denizen.retrieve import open_index

    folder = Path(place).expanduser() if place else Path(".")
    if not postgres and not folder.is_dir():
        raise ConfigError(
            "the index is not there",
            where=str(folder),
            fix="make it with `denizen ingest docs`, or clear serve.index",
        )
    index = open_index(folder, postgres=postgres)
    try:
        index.snapshot()  # an empty or damaged one is told now, not with the first question
    except BaseException:
        index.close()
        raise
    return index


def _check_adapters(config: Config, release: str) -> None:
    from denizen.serve.answering.naming import EMBEDDER
    from denizen.tasks import FAMILIES

    if taken := sorted({release, f"{release}-base", EMBEDDER} & config.serve.adapters.keys()):
        raise ConfigError(
            f"an adapter cannot be called {taken[0]!r}: another model has that name",
            where="serve.adapters",
            fix="choose another",
        )
    for family, adapter in config.serve.skills.items():
        if family not in FAMILIES:
            raise ConfigError(
                f"no task family {family!r}",
                where="serve.skills",
                fix="see `denizen tasks list`",
            )
        if adapter not in config.serve.adapters:
            known = ", ".join(config.serve.adapters) or "none"
            raise ConfigError(
                f"the skill {family!r} wants the adapter {adapter!r}, which is not loaded",
                where="serve.skills",
                fix=f"add it to serve.adapters; there are: {known}",
            )
