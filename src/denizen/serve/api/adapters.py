"""POST /admin/adapters: an adapter to take in while serving.

Contract: a name to ask for it by, the path of a LoRA-GGUF inside the workspace's artefacts, and the
task families whose questions it is to answer, if any.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from denizen.serve.api import limits
from denizen.serve.api.shape import Body


def _untagged(name: str) -> str:
    if name.endswith(":latest"):
        raise PydanticCustomError("name", "must not end in ':latest': Ollama's clients add that")
    return name


class AdapterBody(Body):
    """The body; `path` is relative to the folder `artefacts` of the workspace."""

    name: Annotated[
        str,
        StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$"),
        AfterValidator(_untagged),
    ]
    path: Annotated[str, StringConstraints(min_length=1, max_length=4 * limits.NAME)]
    families: (
        Annotated[
            list[Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,64}$")]],
            Field(max_length=limits.FAMILIES),
        ]
        | None
    ) = None
