"""Tokenizer metadata: llama.cpp reads the tokens that the trainer's tokenizer gives, or refuses."""

from __future__ import annotations

import ctypes
import json
from pathlib import Path
from typing import Any

import pytest
from tests.export.tiny_models import byte_level, edit, make, sentencepiece_like

from denizen.export import write_gguf
from denizen.models.llama_context import Context
from denizen.project import ArtefactError

TEXTS = (
    "the swap fee of 0.05% on 1234567 USDC",
    "I'm they've WE'LL don't  two   spaces\t\ttabs\n\nlines\n \n end ",
    "camelCase HTTPServer x1y22 a_b-c/d\\e (f) [g] {h: 'i'} <|im_end|>next",
    "caf\u00e9 na\u00efve \u4f60\u597d \u20ac3.1M \U0001f680 \u2212195714",
    "ab the fee swap swap fee",
    " leading",
    "",
)
# Regexes as in the tokenizer.json of Llama 3, Qwen 2, GPT-4o (Phi-4-mini) and Mistral NeMo
_TAIL = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_LLAMA = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + _TAIL
_CASED_TAIL = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_U, _L = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_HEAD = r"[^\r\n\p{L}\p{N}]?"
_TEKKEN = rf"{_HEAD}{_U}*{_L}+|{_HEAD}{_U}+{_L}*|\p{{N}}" + _CASED_TAIL
_SHORT = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_GPT4O = rf"{_HEAD}{_U}*{_L}+{_SHORT}|{_HEAD}{_U}+{_L}*{_SHORT}|\p{{N}}{{1,3}}" + _CASED_TAIL


def split_by(regex: str) -> Any:
    from tokenizers import Regex, pre_tokenizers

    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(regex), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def plain(prefix: bool = False) -> Any:
    from tokenizers import pre_tokenizers

    return pre_tokenizers.ByteLevel(add_prefix_space=prefix)


def tokens_in_llama_cpp(gguf: Path, texts: tuple[str, ...]) -> list[list[int]]:
    """Ids by llama_tokenize: special tokens parsed, none added."""
    context = Context(gguf, cells=256, threads=1)
    library, pointer = context._library, ctypes.c_void_p
    vocabulary = library.llama_model_get_vocab(context._model)
    library.llama_tokenize.argtypes = [
        pointer, ctypes.c_char_p, ctypes.c_int32, pointer, ctypes.c_int32,
        ctypes.c_bool, ctypes.c_bool,
    ]  # fmt: skip
    found = []
    for text in texts:
        data, room = text.encode(), (ctypes.c_int32 * 1000)()
        count = library.llama_tokenize(vocabulary, data, len(data), room, 1000, False, True)
        assert count >= 0
        found.append(list(room[:count]))
    context.close()
    return found


def exported(folder: Path, tokenizer: Any, name: str = "tiny") -> tuple[Path, Any]:
    """A GGUF with this tokenizer, and its tokenizer.* fields."""
    from gguf import GGUFReader

    make(folder / "m", "llama", tokenizer=tokenizer, num_hidden_layers=1)
    write_gguf(folder / "m", folder / "x.gguf", quant="f16", name=name)
    fields = GGUFReader(str(folder / "x.gguf")).fields
    return folder / "x.gguf", {k: v.contents() for k, v in fields.items() if "tokenizer" in k}


@pytest.mark.parametrize(
    ("pre", "settings", "name"),
    [
        (None, {}, "smollm"),
        (plain, {}, "gpt-2"),
        (_LLAMA.replace("{1,3}", ""), {}, "qwen2"),
        (_LLAMA, {"ignore_merges": True}, "llama-bpe"),
        (_LLAMA, {}, "smaug-bpe"),
        (_GPT4O, {}, "gpt-4o"),
        (_TEKKEN, {"ignore_merges": True}, "tekken"),
    ],
)
def test_byte_level_tokens_are_equal(pre: Any, settings: Any, name: str, tmp_path: Path) -> None:
    chosen = split_by(pre) if isinstance(pre, str) else pre and pre()
    tokenizer = byte_level(chosen, **settings)
    path, fields = exported(tmp_path, tokenizer)
    assert fields["tokenizer.ggml.pre"] == name
    assert fields["tokenizer.ggml.model"] == "gpt2"
    expected = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in TEXTS]
    assert tokens_in_llama_cpp(path, TEXTS) == expected


@pytest.mark.parametrize("scheme", ["legacy", "gemma", "always", "never", "first"])
def test_sentencepiece_like_tokens_are_equal(scheme: str, tmp_path: Path) -> None:
    tokenizer = sentencepiece_like(scheme)
    path, fields = exported(tmp_path, tokenizer)
    assert fields["tokenizer.ggml.model"] == "llama"
    assert fields["tokenizer.ggml.add_bos_token"] is False
    assert [fields["tokenizer.ggml.token_type"][i] for i in (0, 1, 6, 300)] == [2, 3, 6, 1]
    # What Metaspace's "first" does at the very start no flag of llama.cpp's says: chats begin with
    # a special token, and there it is exact.
    texts = tuple("<s>" + text for text in TEXTS) if scheme == "first" else TEXTS
    if scheme == "always":  # which adds no space to one that is there, as llama.cpp does
        texts = tuple(text for text in texts if not text.startswith(" "))
    expected = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    assert tokens_in_llama_cpp(path, texts) == expected


def test_phi3_drops_space_after_special_tokens_by_its_name(tmp_path: Path) -> None:
    from gguf import GGUFReader
    from tokenizers import AddedToken

    tokenizer = sentencepiece_like()
    stripping = [AddedToken(t, rstrip=True, special=True) for t in ("<|im_start|>", "<|im_end|>")]
    tokenizer.backend_tokenizer.add_special_tokens([*stripping, "<|endoftext|>"])
    path, _ = exported(tmp_path, tokenizer)
    name = GGUFReader(str(path)).fields["general.name"].contents()
    assert name == "tiny (phi-3)"
    texts = ("<|im_start|> user\n fee<|im_end|>\n<|im_start|>", "<s> fee<|im_end|>fee")
    expected = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    assert tokens_in_llama_cpp(path, texts) == expected
    for other in (sentencepiece_like(), byte_level()):
        with pytest.raises(ArtefactError, match=r"named phi-3.*which this is not"):
            exported(tmp_path / "o", other, name="My-Phi-3")


def refusals() -> Any:
    from tokenizers import normalizers, pre_tokenizers

    lower = byte_level()
    lower.backend_tokenizer.normalizer = normalizers.Lowercase()
    whole = sentencepiece_like("never")
    whole.backend_tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(split=True)
    yield byte_level(split_by(r"\w+|\s+")), "no name for its pre-tokenizer"
    yield byte_level(split_by(_TEKKEN)), "no name for its pre-tokenizer"  # merges whole words
    yield byte_level(plain(prefix=True)), "no name for its pre-tokenizer"
    yield lower, "normalises text \\(Lowercase\\)"
    yield whole, "treats spaces"


@pytest.mark.parametrize("number", range(5))
def test_what_llama_cpp_would_read_otherwise_is_refused(number: int, tmp_path: Path) -> None:
    tokenizer, message = list(refusals())[number]
    with pytest.raises(ArtefactError, match=f"cannot represent this tokenizer.*{message}"):
        exported(tmp_path, tokenizer)
    assert not (tmp_path / "x.gguf").exists()


def test_broken_and_foreign_tokenizers_are_refused(tmp_path: Path) -> None:
    folder = make(tmp_path / "m", "llama", tokenizer=sentencepiece_like())
    path, target = folder / "tokenizer.json", tmp_path / "x.gguf"
    data = json.loads(path.read_text("utf-8"))
    model = data["model"]

    def refused(message: str, **changes: Any) -> None:
        path.write_text(json.dumps(data | {"model": model | changes}), "utf-8")
        with pytest.raises(ArtefactError, match=message):
            write_gguf(folder, target, quant="f16", name="x")

    refused("model is Unigram", type="Unigram")
    refused("continuing_subword_prefix", continuing_subword_prefix="##")
    bytes_lost = {t: i for t, i in model["vocab"].items() if t != "<0x41>"}
    refused("not all 256", vocab=bytes_lost)
    # "the" could also be t + he; llama.cpp would merge them whichever pair the list names.
    new = max(model["vocab"].values()) + 1
    refused(
        "'t' and 'he' are never merged, though 'the' is a token",
        vocab=model["vocab"] | {"he": new},
        merges=[["h", "e"], *model["merges"]],
    )
    refused("stand apart", merges=[["f", "ee"], *model["merges"], ["f", "ee"]])
    refused("no merges", merges=[])
    refused("has token 5000, the model", vocab=model["vocab"] | {"far": 5000})
    edit(folder / "config.json", eos_token_id=-1)
    edit(folder / "tokenizer_config.json", eos_token=None)
    refused("no token ends a text")
    path.write_text("{")
    with pytest.raises(ArtefactError, match="tokenizer cannot be read"):
        write_gguf(folder, target, quant="f16", name="x")
    path.unlink()
    with pytest.raises(ArtefactError, match=r"tokenizer cannot be read.*fast tokenizer"):
        write_gguf(folder, target, quant="f16", name="x")
    assert not target.exists()


def test_a_tokenizer_is_copied_from_a_gguf_of_the_same_base_alone(tmp_path: Path) -> None:
    path, fields = exported(tmp_path, sentencepiece_like())
    folder = make(tmp_path / "n", "llama", tokenizer=sentencepiece_like(), seed=1)
    (folder / "tokenizer.json").unlink()
    write_gguf(folder, tmp_path / "y.gguf", quant="f16", name="y", base_gguf=path)
    from gguf import GGUFReader

    copied = GGUFReader(str(tmp_path / "y.gguf")).fields
    assert {k: copied[k].contents() for k in fields} == fields
    other = make(tmp_path / "o", "llama")
    with pytest.raises(ArtefactError, match=r"GGUF has \d+ tokens, the model \d+ embeddings"):
        write_gguf(other, tmp_path / "z.gguf", quant="f16", name="z", base_gguf=path)
