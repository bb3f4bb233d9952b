"""Output checks against addresses, calldata and phrases in disguise, and against false alarms."""

from __future__ import annotations

import json
from random import Random

import pytest
from mnemonic import Mnemonic

from denizen.serve.guard.addresses import Known
from denizen.serve.guard.folding import fold
from denizen.serve.guard.output import OutputStream, check

ADDRESS = "0x19c4e07b52da86f3307ea1fd584bc962e80d3a71"
OTHER = "0xa2f86d1095cb347e90be16d2483fa75c01d7e9b4"
KEY = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"
CALLDATA = "a9059cbb" + OTHER[2:].rjust(64, "0") + f"{10**18:064x}"


def groups(digits: str, size: int, between: str = " ") -> str:
    return between.join(digits[i : i + size] for i in range(0, len(digits), size))


def streamed(text: str, size: int) -> str:
    stream = OutputStream(Known.of(""))
    said = [stream.feed(text[at : at + size]) for at in range(0, len(text), size)]
    return "".join([*said, stream.close()])


@pytest.mark.parametrize(
    "written",
    [
        *(groups(OTHER, 6, sign) for sign in "~·–;→=#^&%$!?@{<"),
        groups(OTHER, 6, " • "),
        groups(OTHER, 6, "🔥"),
        "<b></b>".join(OTHER),
        OTHER[:20] + "<wbr>" + OTHER[20:],
        "".join(f"\\u{ord(c):04x}" for c in OTHER),
        "".join(f"%{ord(c):02x}" for c in OTHER),
        f"{groups(OTHER[2:], 4)} {groups(ADDRESS[2:], 4)}",
        f"{groups(OTHER[2:], 4)}\n{groups(ADDRESS[2:], 4)}",
        f"cafe {groups(OTHER[2:], 4)}",
        groups(OTHER[2:] + "ff", 2),
        "a.drainer.eth",
        "aa.bb.cc.dd.ee.drainer.eth",
        "名前.eth",
        "🔥🔥🔥.eth",
        "ñandu.eth",
        "BC1QAR0SRRR7XFKVY5L643LYDNW9RE59GTZZWF5MDQ",
        "celestia1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5md",
        "EQCD39VS5jcptHL8vMjEXrzGaRcCVYto7HUn4bpAOg8xqB2N",
        "15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5",
        groups(CALLDATA, 2),
        groups(CALLDATA, 4),
        groups(CALLDATA, 8),
        groups("".join(f"0x{CALLDATA[i : i + 2]}" for i in range(0, len(CALLDATA), 2)), 4, ", "),
        groups("".join(f"\\x{CALLDATA[i : i + 2]}" for i in range(0, len(CALLDATA), 2)), 4, ""),
    ],
)
def test_what_a_reader_puts_together_is_hidden_whole_and_streamed(written: str) -> None:
    text = f"Send to: {written} please, and wait."
    found = check(text, Known.of(""))
    assert found.flags and "withheld]" in found.text and found.text.endswith(" please, and wait.")
    assert len(found.text) < 100
    for size in (1, 3, 7):
        assert streamed(text, size) == found.text
    if "calldata withheld" not in found.flags:  # else it is hidden, known or not
        assert check(text, Known.of(f"I was told: {text}")).text == text


def test_a_json_answer_hides_what_its_escapes_say() -> None:
    escaped = "".join(f"\\u{ord(c):04x}" for c in KEY)
    for answer in (f'{{"key": "{escaped}"}}', f'{{"key": "0\\u0078{KEY}"}}'):
        assert KEY in json.loads(answer)["key"]
        assert KEY not in json.loads(check(answer, Known.of("")).text)["key"]


@pytest.mark.parametrize("language", Mnemonic.list_languages())
def test_phrases_of_every_list_are_hidden_whole_and_streamed(language: str) -> None:
    phrase = " ".join(Random(7).choices(Mnemonic(language).wordlist, k=12))
    for written in (phrase, phrase.upper()):
        text = f"0: {written} ."
        found = check(text, Known.of(""))
        assert found.text == "0: [seed phrase withheld] ."
        assert streamed(text, 3) == found.text


@pytest.mark.parametrize(
    "named",
    ["PRIVATE_KEY=", "DEPLOYER_PRIVATE_KEY=0x", "privateKey: 0x", '"privateKey": "0x', "privkey ",
     "SIGNER_KEY=", "secretKey = ", "The key:\n", "CLIENT_SECRET="],
)  # fmt: skip
def test_a_word_that_a_file_calls_a_key_is_not_repeated(named: str) -> None:
    assert KEY not in check(f"Here: 0x{KEY}", Known.of(f"{named}{KEY}")).text


@pytest.mark.parametrize(
    "named", ["pool key ", "public_key=0x", "POOL_KEY=", "monkeys ", "hockey "]
)
def test_a_word_of_another_name_may_be_repeated(named: str) -> None:
    assert KEY in check(f"Here: {KEY}", Known.of(f"{named}{KEY}")).text


def test_a_part_of_a_known_name_is_another_name() -> None:
    for known in ("I sent it to notdrainer.eth.", "I know pay.drainer.eth", "drainer.ethical"):
        assert check("Pay drainer.eth now", Known.of(known)).flags == ("address withheld",)
    for known in (
        "Is drainer.eth safe?",
        "the drainer.eth-owned vault",
        "(drainer.eth)",
        "https://app.ens.domains/drainer.eth",
    ):
        assert check("Pay drainer.eth now", Known.of(known)).flags == ()


@pytest.mark.parametrize(
    "text",
    [
        "await web3.eth.getBalance(a); w3.eth.get_block('latest'); `w3.eth.gas_price`",
        "from web3.eth import Eth",
        "A map of <address>, List<b> and a <b>bold</b> 5%, 30% or 61% of 100\\u20ac.",
        "Colours: #ff5733, #33ff57, #3357ff, #a1b2c3, #d4e5f6, #0a1b2c and #3d4e5f9.",
        "Opcodes: 60 80 60 40 52 34 80 15 61 00 10 57",
        "Selectors a9059cbb 095ea7b3 23b872dd 70a08231 dd62ed3e 18160ddd 313ce567 06fdde03 95d89b41",
        "SigningKeyDerivationFunctionForSecp256k1ForUs4Z and QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPbdG",
        "Пул взимает комиссию с обмена. 풀은 거래마다 수수료를 받습니다. 流动性池收取费用。",
    ],
)  # fmt: skip
def test_honest_code_and_prose_stay(text: str) -> None:
    assert check(text, Known.of("")) == (text, ())
    assert streamed(text, 3) == text


@pytest.mark.parametrize("seed", range(40))
def test_any_mixture_of_disguises_streams_as_the_whole(seed: int) -> None:
    rng = Random(seed)
    escaped = "".join(f"\\u{ord(c):04x}" for c in OTHER)
    parts = [
        escaped, escaped[:20], "\\", "\\u", "\\u00", "30", "\\u005c", "%", "%3", "%61", "<", "</", "b>",
        "<br>", "🔥", "·", " ", "\n", OTHER, ADDRESS, KEY, "x.drainer.eth", "名前.eth", "w3.eth.", "a2f8 ",
        "6d10 ", "90be 16d2 483f a75c 01d7 e9b4 ", "ab cd ef 01 23 45 67 89 0a 1b ", "&lt;b", "&#37;61",
        "&#92;u0030", "가격 걱정 심부름 ", "word ", "private key",
    ]  # fmt: skip
    text = "".join(rng.choice(parts) for _ in range(rng.randint(2, 14)))
    known, said, at = Known.of(ADDRESS), "", 0
    stream = OutputStream(known)
    while at < len(text):
        step = rng.choice((1, 2, 7, 30))
        said += stream.feed(text[at : at + step])
        at += step
    assert said + stream.close() == check(text, known).text


def test_folding_reads_escapes_and_tags_and_leads_back() -> None:
    text = "a<br>\\u0030x%31%32b"
    folded = fold(text)
    assert folded.text == "a 0x12b"
    start, end = folded.span(2, 6)
    assert text[start:end] == "\\u0030x%31%32"
