"""Template families: told apart by what they render, proven by token id, refused when unknown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from denizen.export import write_gguf
from denizen.export.gguf_header import read_header
from denizen.export.modelfile import STOPS, TEMPLATE, modelfile, render_template
from denizen.export.parity import golden_conversations, prove_tokens
from denizen.export.stops import learnt_end, prove_stops
from denizen.export.templates import CHATML, FAMILIES, ChatTemplate, find_template, stripped
from denizen.models import LlamaEngine, load_tokenizer, render_prompt
from denizen.project import ArtefactError, TemplateError

TURNS = "{% for m in messages %}"
END = "{% endfor %}"


def ask(text: str) -> str:
    return "{% if add_generation_prompt %}{{ '" + text + "' }}{% endif %}"


def chatml(first: str = "", content: str = "m.content") -> str:
    turn = "{{ '<|im_start|>' + m.role + '\\n' + " + content + " + '<|im_end|>\\n' }}"
    return TURNS + first + turn + END + ask("<|im_start|>assistant\\n")


def default_system(text: str) -> str:
    return (
        "{% if loop.first and m.role != 'system' %}"
        "{{ '<|im_start|>system\\n" + text + "<|im_end|>\\n' }}{% endif %}"
    )


LLAMA3 = (
    "{{ bos_token }}" + TURNS + "{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\\n\\n' + "
    f"m.content | trim + '<|eot_id|>' }}}}{END}"
    + ask("<|start_header_id|>assistant<|end_header_id|>\\n\\n")
)
LLAMA31 = (
    "{% set date = strftime_now('%d %b %Y') %}"
    "{{ bos_token + '<|start_header_id|>system<|end_header_id|>\\n\\n"
    "Cutting Knowledge Date: December 2023\\nToday Date: ' + date + '\\n\\n' }}"
    "{% if messages[0].role == 'system' %}{{ messages[0].content | trim }}"
    "{% set messages = messages[1:] %}{% endif %}{{ '<|eot_id|>' }}"
    + LLAMA3.removeprefix("{{ bos_token }}")
)
GEMMA3 = (
    "{{ bos_token }}{% set pre = '' %}{% if messages[0].role == 'system' %}"
    "{% set pre = messages[0].content + '\\n\\n' %}{% set messages = messages[1:] %}{% endif %}"
    + TURNS
    + "{{ '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\\n' + "
    "(pre if loop.first else '') + m.content | trim + '<end_of_turn>\\n' }}"
    + END
    + ask("<start_of_turn>model\\n")
)
SYSTEM_FIRST = (
    "{{ bos_token }}{% set sys = messages[0].content + '\\n\\n' if messages[0].role == 'system' "
    "else '' %}{% set messages = messages[1:] if sys else messages %}"
)
MISTRAL1 = (
    SYSTEM_FIRST + TURNS + "{% if m.role == 'user' %}"
    "{{ ' [INST] ' + (sys if loop.first else '') + m.content + ' [/INST]' }}{% else %}"
    "{{ ' ' + m.content + eos_token }}{% endif %}" + END
)
MISTRAL3 = (
    SYSTEM_FIRST + TURNS + "{% if m.role == 'user' %}"
    "{{ '[INST] ' + (sys if loop.last else '') + m.content + '[/INST]' }}{% else %}"
    "{{ ' ' + m.content + eos_token }}{% endif %}" + END
)
TEKKEN = MISTRAL3.replace("[INST] ", "[INST]").replace("' ' + m", "'' + m")
MISTRAL7 = (
    "{{ bos_token }}" + TURNS + "{% if m.role == 'user' %}{{ '[INST]' + m.content + '[/INST]' }}"
    "{% elif m.role == 'system' %}{{ '[SYSTEM_PROMPT]' + m.content + '[/SYSTEM_PROMPT]' }}"
    "{% else %}{{ m.content + eos_token }}{% endif %}" + END
)
PHI3 = (
    TURNS + "{{ '<|' + m.role + '|>\\n' + m.content + '<|end|>\\n' }}" + END
    + "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% else %}{{ eos_token }}{% endif %}"
)  # fmt: skip
PHI4MINI = PHI3.replace("|>\\n'", "|>'").replace("<|end|>\\n", "<|end|>")
PHI4 = (
    TURNS + "{{ '<|im_start|>' + m.role + '<|im_sep|>' + m.content + '<|im_end|>' }}" + END
    + ask("<|im_start|>assistant<|im_sep|>")
)  # fmt: skip
# Qwen 3 shows the last answer after an empty thought; prompts are plain ChatML.
QWEN3 = chatml(
    content="('<think>\\n\\n</think>\\n\\n' if m.role == 'assistant' and loop.last else '') "
    "+ m.content"
)
QWEN = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
LLAMA = ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>",
         "<|eot_id|>")  # fmt: skip
GEMMA = ("<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>")
MISTRAL = ("<s>", "</s>", "[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]")
PHI = ("<|endoftext|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>")

# What a base is, its template, its special tokens, BOS, EOS, and the family it belongs to.
BASES: dict[str, tuple[str, tuple[str, ...], str | None, str, str]] = {
    "SmolLM2": (chatml(default_system("You are SmolLM.")), QWEN, QWEN[1], QWEN[2], "chatml"),
    "Qwen2": (chatml(default_system("You are a helper.")), QWEN, None, QWEN[2], "chatml"),
    "Qwen2.5": (chatml(default_system("You are Qwen.")), QWEN, None, QWEN[2], "chatml"),
    "Qwen3": (QWEN3, QWEN, None, QWEN[2], "chatml"),
    "Llama 3": (LLAMA3, LLAMA, LLAMA[0], LLAMA[4], "llama-3"),
    "Llama 3.1": (LLAMA31, (*LLAMA, "<|eom_id|>"), LLAMA[0], LLAMA[4], "llama-3.1"),
    "Gemma 3": (GEMMA3, GEMMA, GEMMA[0], GEMMA[1], "gemma-3"),
    "Mistral v1": (MISTRAL1, MISTRAL[:2], "<s>", "</s>", "mistral-v1"),
    "Mistral v3": (MISTRAL3, MISTRAL[:4], "<s>", "</s>", "mistral-v3"),
    "Mistral Nemo": (TEKKEN, MISTRAL[:4], "<s>", "</s>", "mistral-v3-tekken"),
    "Mistral Small": (MISTRAL7, MISTRAL, "<s>", "</s>", "mistral-v7"),
    "Phi 3": (PHI3, PHI, None, PHI[0], "phi-3"),
    "Phi 4 mini": (PHI4MINI, PHI, None, PHI[0], "phi-4-mini"),
    "Phi 4": (PHI4, (*QWEN, "<|im_sep|>"), None, QWEN[2], "phi-4"),
}


def tokenizer_of(
    template: str, specials: tuple[str, ...], bos: str | None, eos: str, **more: Any
) -> Any:
    """A byte-level tokenizer with these special tokens, in memory."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {t: i for i, t in enumerate((*specials, *alphabet, "ab"))}
    tokenizer = Tokenizer(models.BPE(vocabulary, [("a", "b")]))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(specials))
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=bos, eos_token=eos, pad_token=eos, **more
    )
    fast.chat_template = template
    return fast


@pytest.mark.parametrize("base", BASES)
def test_a_base_is_known_by_what_its_template_renders(base: str) -> None:
    *made, family = BASES[base]
    tokenizer = tokenizer_of(*made)
    found = find_template(tokenizer)
    assert found.name == family
    for messages in golden_conversations():
        prompt = stripped(messages[:-1]) if found.trims else messages[:-1]
        assert render_template(prompt, found) == render_prompt(tokenizer, prompt)
    # Only stops that are tokens of this vocabulary are written.
    assert found.stops and set(found.stops) <= set(made[1])
    text = modelfile("a.gguf", "S", context=64, template=found)
    assert f'TEMPLATE """{found.text}"""' in text
    assert text.count("PARAMETER stop") == len(found.stops)


def test_the_name_of_a_base_says_nothing() -> None:
    *made, _ = BASES["Llama 3"]
    assert (
        find_template(tokenizer_of(*made, name_or_path="Qwen2.5-0.5B-Instruct")).name == "llama-3"
    )


def test_families_are_told_apart() -> None:
    names = [family.name for family in FAMILIES]
    assert len(set(names)) == len(names)
    assert {entry[4] for entry in BASES.values()} == set(names)


@pytest.mark.parametrize(
    "template",
    [
        "{% for m in messages %}### {{ m.role }}: {{ m.content }}\n{% endfor %}",
        # One character off ChatML: the answer would begin on the role's own line.
        chatml().replace("assistant\\n", "assistant "),
        chatml(content="m.content | upper"),
        # White space treated as no family does.
        chatml(content="m.content.replace('  ', '_')"),
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        + chatml(),
        "",
    ],
)
def test_an_unknown_template_is_refused_in_one_line(template: str) -> None:
    with pytest.raises(TemplateError) as caught:
        find_template(tokenizer_of(template, QWEN, None, QWEN[2]))
    assert "\n" not in str(caught.value) and caught.value.fix


def test_the_date_of_a_dated_template_is_frozen() -> None:
    *made, _ = BASES["Llama 3.1"]
    found = find_template(tokenizer_of(*made))
    assert "@DATE@" not in found.text and "Today Date: " in found.text
    assert "frozen" in modelfile("a.gguf", "S", context=64, template=found)


def test_trimming_is_told() -> None:
    *made, _ = BASES["Gemma 3"]
    found = find_template(tokenizer_of(*made))
    assert found.trims and found.bos == "<bos>"
    assert "strips white space" in modelfile("a.gguf", "S", context=64, template=found)


def test_the_old_call_still_writes_chatml() -> None:
    text = modelfile("a.gguf", "You are X.", context=2048)
    assert f'TEMPLATE """{TEMPLATE}"""' in text and all(f'stop "{s}"' in text for s in STOPS)
    assert modelfile("a.gguf", "X", context=9, stops=["<|im_end|>"]).count("PARAMETER stop") == 1


@pytest.mark.parametrize(
    "change",
    [
        {"system": 'a """ b\nPARAMETER stop "x"'},
        {"system": 'He said "yes"'},
        {"gguf_name": "a.gguf\nFROM other"},
        {"stops": ['a"b']},
        {"stops": ["a\nb"]},
    ],
)
def test_nothing_ends_a_modelfiles_quotes(change: dict[str, Any]) -> None:
    values: dict[str, Any] = {"gguf_name": "a.gguf", "system": "S", "context": 64} | change
    with pytest.raises(ArtefactError, match="Modelfile"):
        modelfile(values.pop("gguf_name"), values.pop("system"), **values)


# -- stops -----------------------------------------------------------------------------------


def header(path: Path, **keys: int | bool) -> Path:
    """A GGUF of a header alone."""
    from gguf import GGUFWriter

    writer = GGUFWriter(str(path), "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(["a", "b"])
    for name, value in keys.items():
        key = f"tokenizer.ggml.{name}"
        if isinstance(value, bool):
            writer.add_bool(key, value)
        else:
            writer.add_uint32(key, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path


def folder(path: Path, eos: object) -> Path:
    path.mkdir()
    (path / "generation_config.json").write_text(json.dumps({"eos_token_id": eos}))
    return path


# ends an answer with a token that llama.cpp does not know by its text
OWN = (MISTRAL7, MISTRAL, "<s>", "</s>")


def test_all_sides_stop_where_the_model_learnt_to(tmp_path: Path) -> None:
    tokenizer = tokenizer_of(*OWN)
    found = find_template(tokenizer)
    gguf = header(tmp_path / "a.gguf", eos_token_id=1, add_bos_token=False)
    proof = prove_stops(tokenizer, found, folder=folder(tmp_path / "m", [1]), gguf=gguf)
    assert proof.learnt == 1 and proof.generation == proof.gguf == (1,)
    assert set(proof.modelfile) == {1, 2, 3, 4}


@pytest.mark.parametrize(
    ("keys", "eos", "stops", "message"),
    [
        ({"eos_token_id": 3}, [1], None, "llama.cpp would not end there"),
        ({"eos_token_id": 1}, [2], None, "transformers would not end there"),
        ({"eos_token_id": 1}, 2, None, "transformers would not end there"),
        ({"eos_token_id": 1}, [1, 0], None, "transformers ends at token 0"),
        ({"eos_token_id": 1}, [1], ["[INST]"], "the Modelfile would not end there"),
        ({"eos_token_id": 1}, [1], ["</s>", "<|im_end|>"], "is not one token"),
        ({"eos_token_id": 1, "add_bos_token": True}, [1], None, "a BOS token, twice"),
    ],
)
def test_a_side_that_stops_elsewhere_is_refused(
    tmp_path: Path, keys: dict[str, Any], eos: object, stops: list[str] | None, message: str
) -> None:
    tokenizer = tokenizer_of(*OWN)
    gguf = header(tmp_path / "a.gguf", **keys)
    with pytest.raises(ArtefactError, match=message):
        prove_stops(
            tokenizer,
            find_template(tokenizer),
            folder=folder(tmp_path / "m", eos),
            gguf=gguf,
            stops=stops,
        )


def test_an_end_of_turn_of_its_own_counts(tmp_path: Path) -> None:
    """Gemma: the tokenizer's EOS is not what ends an answer."""
    *made, _ = BASES["Gemma 3"]
    tokenizer = tokenizer_of(*made)
    assert learnt_end(tokenizer) == GEMMA.index("<end_of_turn>") != tokenizer.eos_token_id
    gguf = header(tmp_path / "a.gguf", eos_token_id=1, eot_token_id=3)
    found = find_template(tokenizer)
    proof = prove_stops(tokenizer, found, folder=folder(tmp_path / "m", [1, 3]), gguf=gguf)
    assert proof.gguf == (1, 3)
    with pytest.raises(ArtefactError, match="transformers would not end there"):
        prove_stops(tokenizer, found)


def test_a_template_without_an_end_teaches_no_end() -> None:
    tokenizer = tokenizer_of(
        TURNS + "{{ m.role + ': ' + m.content + '\\n' }}" + END + ask("assistant: "),
        QWEN, None, QWEN[2],
    )  # fmt: skip
    with pytest.raises(ArtefactError, match="nothing teaches when to stop"):
        learnt_end(tokenizer)


def test_the_header_is_ggufs(tiny: Path, tmp_path: Path) -> None:
    from gguf import GGUFReader

    path = tmp_path / "tiny.gguf"
    write_gguf(tiny, path, quant="f16", name="tiny")
    found, fields = read_header(path), GGUFReader(str(path)).fields
    for key in (
        "general.architecture",
        "tokenizer.ggml.eos_token_id",
        "llama.block_count",
        "tokenizer.ggml.add_bos_token",
        "llama.attention.layer_norm_rms_epsilon",
    ):
        assert found[key] == pytest.approx(fields[key].contents()), key
    assert "tokenizer.ggml.tokens" not in found
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(path.read_bytes()[:900])
    with pytest.raises(ArtefactError, match="header"):
        read_header(cut)
    (tmp_path / "not.gguf").write_bytes(b"PK\x03\x04")
    with pytest.raises(ArtefactError, match="GGUF magic"):
        read_header(tmp_path / "not.gguf")


# -- end to end ------------------------------------------------------------------------------


def tiny_base(where: Path, base: str) -> Path:
    """A random model and the base's tokenizer, as a transformers folder."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = tokenizer_of(*BASES[base][:4])
    end = learnt_end(tokenizer)
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=-(-len(tokenizer) // 32) * 32,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=4096,
            bos_token_id=0,
            eos_token_id=sorted({end, tokenizer.eos_token_id}),
        )
    )
    model.save_pretrained(where)
    tokenizer.save_pretrained(where)
    return where


@pytest.mark.parametrize("base", ["Qwen2.5", "Llama 3", "Gemma 3", "Mistral Small", "Phi 3"])
def test_tokens_and_stops_are_proven_in_llama_cpp(base: str, tmp_path: Path) -> None:
    model = tiny_base(tmp_path / "model", base)
    gguf = tmp_path / "tiny.gguf"
    write_gguf(model, gguf, quant="f32", name="tiny")
    tokenizer, engine = load_tokenizer(model), LlamaEngine(gguf, context=4096)
    try:
        proof = prove_tokens(tokenizer, engine, folder=model, gguf=gguf)
        assert proof.family == BASES[base][4] and proof.tokens > 500 and proof.mismatches == ()
        assert proof.stops is not None
        learnt = proof.stops["learnt"][0]
        assert all(learnt in proof.stops[side] for side in ("generation", "gguf", "modelfile"))
        json.dumps(proof._asdict())
        # Proven against the family that was written, not against whatever would fit.
        wrong = ChatTemplate("other", CHATML.go.replace("assistant\n", "assistant"), CHATML.stops)
        with pytest.raises(ArtefactError, match="renders golden conversation 1 differently"):
            prove_tokens(tokenizer, engine, template=wrong, folder=model, gguf=gguf)
    finally:
        engine.close()
