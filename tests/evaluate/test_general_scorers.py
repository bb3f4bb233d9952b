"""Log-likelihoods: the fast engines against one plain forward a branch, and lm-eval's figures."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from denizen.evaluate.general import (
    SETS,
    Branch,
    GeneralItem,
    LlamaScorer,
    TransformersScorer,
    judge_item,
    right,
)
from denizen.evaluate.general.loglikelihood import (
    Likelihood,
    Pair,
    encode_branch,
    pack,
    picked,
    unpack,
)
from denizen.evaluate.general.trie import trie_of, visible
from denizen.project.errors import DataError


def branches(context: str, *options: str) -> list[Branch]:
    return [Branch(context, " " + option) for option in options]


ITEMS = [
    branches("Question: Which is a metal?\nAnswer:", "iron", "iron ore", "oak", "the old oak tree"),
    branches("Is it?\nAnswer:", "A", "B", "C"),
    [Branch("Ann beat Eve because Ann", " was fast."), Branch("Ann beat Eve because Eve", " was fast.")],
    branches("He opened the old", "door"),
    [Branch("Ann ran", " off."), Branch("Eve ran", " off.")],
    branches("ends in a space ", "x", "yy"),
    branches("a " * 60, "b", "ab ab"),
]  # fmt: skip


@pytest.fixture(scope="module")
def loaded(tiny: Path) -> Iterator[tuple[Any, Any]]:
    import torch

    from denizen.models import load_model, load_tokenizer

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    model, tokenizer = load_model(tiny), load_tokenizer(tiny)
    with torch.no_grad():  # random weights are nearly uniform: make the likelihoods differ
        for weight in model.parameters():
            weight.mul_(3.0)
    yield model, tokenizer
    torch.set_num_threads(threads)


def plain(model: Any, tokenizer: Any, item: Sequence[Branch]) -> list[Likelihood]:
    """Each branch alone, through the whole model, the logits of every position."""
    import torch

    found = []
    for branch in item:
        pair = encode_branch(branch, lambda text: tokenizer(text)["input_ids"], 4096)
        with torch.inference_mode():
            logits = model(torch.tensor([pair.ids[:-1]])).logits[0].double()
        steps = torch.log_softmax(logits, -1)[pair.context - 1 :]
        wanted = torch.tensor(pair.ids[pair.context :])
        nats = float(steps.gather(1, wanted[:, None]).sum())
        found.append(Likelihood(nats, bool((steps.argmax(-1) == wanted).all())))
    return found


def close(found: Any, expected: Any, within: float = 1e-3) -> None:
    assert [len(one) for one in found] == [len(one) for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert [f.nats for f in one] == pytest.approx([e.nats for e in other], abs=within)
        assert [f.greedy for f in one] == [e.greedy for e in other]


@pytest.mark.parametrize("tokens", [1, 100, 4000])
def test_the_fast_scorer_equals_one_plain_forward_a_branch(loaded: Any, tokens: int) -> None:
    model, tokenizer = loaded
    scorer = TransformersScorer(model, tokenizer, tokens=tokens)
    expected = [plain(model, tokenizer, item) for item in ITEMS]
    assert (
        max(one.nats for item in expected for one in item)
        - min(one.nats for item in expected for one in item)
        > 5
    )
    close(scorer(ITEMS), expected)
    assert scorer._trees is True, "a Llama heeds the mask"
    close(scorer(ITEMS[::-1]), expected[::-1])
    assert scorer([]) == []


def test_cores_take_batches_of_their_own_and_torch_is_left_as_it_was(loaded: Any) -> None:
    import torch

    model, tokenizer = loaded
    threads: set[tuple[int, int]] = set()
    spy = model.get_output_embeddings().register_forward_hook(
        lambda *_: threads.add((threading.get_ident(), torch.get_num_threads()))
    )
    torch.set_num_threads(3)
    try:
        found = TransformersScorer(model, tokenizer, tokens=1)(ITEMS * 4)
        assert torch.get_num_threads() == 3
    finally:
        spy.remove()
        torch.set_num_threads(1)
    close(found, [plain(model, tokenizer, item) for item in ITEMS] * 4)
    others = {n for thread, n in threads if thread != threading.get_ident()}
    assert others == {1} and len(threads) > 1


def test_the_mode_is_restored_and_no_hook_is_left(loaded: Any) -> None:
    model, tokenizer = loaded
    model.train()
    TransformersScorer(model, tokenizer)(ITEMS[:2])
    assert model.training and not model.get_output_embeddings()._forward_pre_hooks
    model.eval()
    with pytest.raises(IndexError):
        TransformersScorer(model, tokenizer, encode=lambda text: [10**6] * len(text))(ITEMS[:1])
    assert not model.get_output_embeddings()._forward_pre_hooks


def test_options_of_one_token_take_one_forward_with_one_scored_place(loaded: Any) -> None:
    model, tokenizer = loaded
    seen: list[tuple[int, ...]] = []
    head = model.get_output_embeddings()
    spy = head.register_forward_hook(lambda _, given, out: seen.append(tuple(out.shape[:2])))
    try:
        TransformersScorer(
            model, tokenizer, encode=lambda text: list(text.replace(" ", "").encode())
        )([ITEMS[1]])
    finally:
        spy.remove()
    assert seen == [(1, 1)]


def test_a_model_that_ignores_the_mask_gets_one_row_a_branch(loaded: Any) -> None:
    model, tokenizer = loaded

    class Deaf(type(model)):  # type: ignore[misc]
        def forward(self, *arguments: Any, **named: Any) -> Any:
            named.pop("attention_mask", None)
            return super().forward(*arguments, **named)

    known = type(model)
    model.__class__ = Deaf
    try:
        scorer = TransformersScorer(model, tokenizer)
        found = scorer(ITEMS)
    finally:
        model.__class__ = known
    assert scorer._trees is False
    close(found, [plain(model, tokenizer, item) for item in ITEMS])


def test_a_sliding_window_is_kept(tmp_path: Path) -> None:
    """Past its window a model of Gemma's kind must not see the beginning; the tree's mask would."""
    import torch
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    torch.manual_seed(0)
    model = Gemma3ForCausalLM(
        Gemma3TextConfig(
            vocab_size=256,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=3,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=16,
            sliding_window=8,
            query_pre_attn_scalar=16,
            initializer_range=0.4,
            final_logit_softcapping=5.0,
            layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        )
    ).eval()

    def tokenizer(text: str) -> dict[str, list[int]]:
        return {"input_ids": list(text.encode())}

    items = [
        branches("ab", "c", "cde"),
        branches("a longer beginning than that", "one", "two words"),
    ]
    scorer = TransformersScorer(model, tokenizer)
    close(scorer(items), [plain(model, tokenizer, item) for item in items])
    assert scorer._window == 8


@pytest.mark.slow
def test_adapters_and_virtual_tokens_are_scored(tiny: Path) -> None:
    from peft import LoraConfig, PrefixTuningConfig, get_peft_model

    from denizen.models import load_model, load_tokenizer

    tokenizer = load_tokenizer(tiny)
    import torch

    torch.manual_seed(1)
    prefix = get_peft_model(
        load_model(tiny), PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3)
    ).eval()
    lora = get_peft_model(
        load_model(tiny), LoraConfig(task_type="CAUSAL_LM", init_lora_weights=False)
    ).eval()
    base = TransformersScorer(load_model(tiny), tokenizer)(ITEMS)
    for model in (prefix, lora):
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if "prompt" in name or "lora" in name:
                    weight.normal_(std=0.5)
        found = TransformersScorer(model, tokenizer)(ITEMS)
        close(found, [plain(model, tokenizer, item) for item in ITEMS], 5e-4)
        assert abs(found[0][0].nats - base[0][0].nats) > 2e-3, "the adapter is heeded"


@pytest.mark.slow
def test_llama_cpp_scores_the_gguf_itself(loaded: Any, tiny: Path, tmp_path: Path) -> None:
    """The same weights in llama.cpp, float32; and another file gives other figures."""
    from tests.conftest import make_tiny

    from denizen.export.gguf_writer import write_gguf

    model, tokenizer = loaded
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    write_gguf(tmp_path / "model", tmp_path / "m.gguf", quant="f32", name="m")

    def encode(text: str) -> list[int]:
        ids: list[int] = tokenizer(text)["input_ids"]
        return ids

    # Many items, so that they take several waves and more than one decode each.
    many = ITEMS * 12
    scorer = LlamaScorer(tmp_path / "m.gguf", context=512, threads=1, precise=True)
    found = scorer(many)
    close(found, TransformersScorer(model, tokenizer)(many))
    # A question's figures do not depend on its neighbours.
    close(found[:7], found[7 * 5 : 7 * 6], 1e-5)
    scorer.close()
    other = make_tiny(tmp_path / "other", seed=3)
    write_gguf(other, tmp_path / "o.gguf", quant="f32", name="o")
    another = LlamaScorer(tmp_path / "o.gguf", encode, context=512, threads=1, precise=True)
    assert abs(another(ITEMS)[0][0].nats - found[0][0].nats) > 0.05
    another.close()


def test_tokens_are_split_where_lm_eval_splits_them() -> None:
    def encode(text: str) -> list[int]:
        """One id a letter, but "ab" is one, over whatever border."""
        return [ord(letter) for letter in text.replace("ab", "\x01")]

    pair = encode_branch(Branch("x ", "b"), encode, 99)
    assert pair == Pair((120, 32, 98), 1), "the space belongs to what follows"
    pair = encode_branch(Branch("xyz", " b"), encode, 3)
    assert pair == Pair((121, 122, 32, 98), 2), "what is too long loses its beginning"
    for bad in (Branch("", "b"), Branch("x", ""), Branch("xa", "b")):
        with pytest.raises(DataError, match="no tokens of its own"):
            encode_branch(bad, encode, 99)
    with pytest.raises(DataError, match="exceeds the model's context of 3"):
        encode_branch(Branch("x", "bcdefg"), encode, 3)


def test_a_trie_holds_each_token_once() -> None:
    tree = trie_of([Pair((1, 2, 3, 4), 2), Pair((1, 2, 3, 5, 6), 2), Pair((1, 2, 7), 2)])
    assert tree.tokens == [1, 2, 3, 5] and tree.parents == [-1, 0, 1, 2] and tree.chain
    assert tree.targets == [[(1, 3), (2, 4)], [(1, 3), (2, 5), (3, 6)], [(1, 7)]]
    assert tree.asked == [1, 2, 3]
    forked = trie_of([Pair((1, 2, 3, 9), 1), Pair((1, 4, 5, 9), 1)])
    assert not forked.chain and forked.depths == [0, 1, 2, 1, 2]
    assert visible(forked, 6).astype(int).tolist() == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 0, 0, 1, 0, 0],
        [1, 0, 0, 1, 1, 0],
        [0, 0, 0, 0, 0, 1],
    ]


def test_accuracy_by_sum_character_and_byte() -> None:
    found = [Likelihood(-6.0, False), Likelihood(-4.0, True), Likelihood(-9.0, False)]
    options = ("abcdefgh", "abcd", "ééééé")  # 8, 4 and 10 bytes; 8, 4 and 5 characters
    assert picked(found, options, "acc") == 1
    assert picked(found, options, "acc_norm") == 0
    assert picked(found, options, "acc_bytes") == 0
    assert (
        picked(
            [Likelihood(-6.0, False), Likelihood(-8.0, False)], ("abcdefgh", "ééééééé"), "acc_norm"
        )
        == 0
    )
    assert (
        picked(
            [Likelihood(-6.0, False), Likelihood(-8.0, False)], ("abcdefgh", "ééééééé"), "acc_bytes"
        )
        == 1
    )
    assert picked([Likelihood(-1.0, False)] * 2, ("a", "b"), "acc") == 0, "the first of equals"
    assert unpack(pack(found)) == found
    item = GeneralItem("x", SETS["arc_easy"], "Q", "abcd", options, gold=1)
    assert right(item, pack(found), "acc") and not right(item, pack(found), "acc_bytes")
    verdict = judge_item(item, pack(found))
    assert not verdict.ok and verdict.answer == "abcdefgh" and verdict.expected == "abcd"
    cloze = GeneralItem("x", SETS["lambada_openai"], "Q", "door", ("door",))
    assert judge_item(cloze, json.dumps({"nats": [-0.1], "greedy": [True]})).ok
    assert not judge_item(cloze, json.dumps({"nats": [-0.1], "greedy": [False]})).ok
