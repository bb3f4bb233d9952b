"""Output checks: addresses however they are written, calldata, keys, phrases, whole and in pieces."""

from __future__ import annotations

import base64
import html
import time
from random import Random

import pytest
from mnemonic import Mnemonic

from denizen.serve.guard.addresses import Known
from denizen.serve.guard.folding import fold
from denizen.serve.guard.output import OutputStream, check

ADDRESS = "0x19c4e07b52da86f3307ea1fd584bc962e80d3a71"
OTHER = "0xa2f86d1095cb347e90be16d2483fa75c01d7e9b4"
KEY = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"
RAW = bytes.fromhex(KEY)
B64, B64URL = base64.b64encode(RAW).decode(), base64.urlsafe_b64encode(RAW).decode()
HASH = "0x" + "9f3a" * 16
CALLDATA = "0xa9059cbb" + OTHER[2:].rjust(64, "0") + f"{10**18:064x}"
WORDS = Mnemonic("english").wordlist
PHRASE = Mnemonic("english").to_mnemonic(bytes(range(16)))
WITHHELD = "[address withheld]"


def shown(text: str, known: str = "", **more: bool) -> str:
    return check(text, Known.of(known), **more).text


def test_a_foreign_address_is_hidden_and_flagged() -> None:
    found = check(f"Send it to {OTHER}.", Known.of(f"My wallet is {ADDRESS}."))
    assert found.text == f"Send it to {WITHHELD}." and found.flags == ("address withheld",)


def test_a_known_address_stays_whatever_its_case() -> None:
    upper = "0x" + ADDRESS[2:].upper()
    for known in (ADDRESS, upper, f"pay {ADDRESS[2:]}", f"({ADDRESS})", " ".join(ADDRESS)):
        assert shown(f"Pay {upper} now.", known) == f"Pay {upper} now."


@pytest.mark.parametrize(
    "written",
    [
        OTHER,
        OTHER.upper().replace("0X", "0x"),
        OTHER.replace("0x", "0X"),
        OTHER[2:],
        " ".join(OTHER[i : i + 6] for i in range(0, 42, 6)),
        "0x " + " ".join(OTHER[2:][i : i + 4] for i in range(0, 40, 4)),
        "0x" + " ".join(OTHER[2:]),
        "\u200b".join(OTHER),
        OTHER[:20] + "\u2060" + OTHER[20:],
        OTHER[:22] + "\n" + OTHER[22:],
        OTHER[:22] + "-" + OTHER[22:],
        f'"{OTHER[:22]}" + "{OTHER[22:]}"',
        f"`{OTHER}`",
        f"to{OTHER}",
        f"https://basescan.org/address/{OTHER}",
        "".join(chr(ord(c) + 0xFEE0) if c.isalnum() else c for c in OTHER),
        OTHER.replace("a", "а").replace("e", "е").replace("c", "с"),
        "0х" + OTHER[2:],
        OTHER[:10] + "..." + OTHER[-6:],
        OTHER[:6] + "…" + OTHER[-4:],
        "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq",
        "TQn9Y2khEsLJW1ChVWFMSMeRDow5KcbLSE",
        "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2",
        "drainer.eth",
    ],
)
def test_an_address_in_any_dress_is_hidden(written: str) -> None:
    found = check(f"Send to: {written} please, and wait.", Known.of(f"I hold {ADDRESS}."))
    assert found.flags == ("address withheld",), found.text
    assert WITHHELD in found.text and "please, and wait." in found.text
    assert OTHER[-8:] not in fold(found.text).text.lower()


@pytest.mark.parametrize(
    "text",
    [
        "The fee is 0.3% and you get 4,512.75 USDC for 2.5 WETH.",
        "sqrtPriceX96 is 79228162514264337593543950336, liquidity 1000000000000000000000000.",
        f"The raw amount is {'1234567890' * 5}.",
        "The selector is 0xa9059cbb and the opcode 0x5c.",
        "Call 0x70a08231 with 1000000000000000000 and 2000000000000000000 and 3000000000000000000.",
        "A 10x position, a 100x bad decade, a cafe facade, a dead bee.",
        "Block 0x112a880 is final.",
        "Use eth-abi and read the ENS docs; ETH.eth is no name here".replace(
            "ETH.eth is no name here", "eth is a token"
        ),
        "zero address",
        "",
    ],
)
def test_figures_and_words_stay(text: str) -> None:
    assert check(text, Known.of("")) == (text, ())


def test_known_hash_stays_and_an_unknown_one_does_not() -> None:
    assert shown(f"Transaction {HASH} failed.", HASH) == f"Transaction {HASH} failed."
    assert check(f"It is {HASH}.", Known.of("")).flags == ("private key withheld",)


def test_a_word_that_was_called_a_key_is_not_repeated() -> None:
    for known in (f"The hot wallet's key is 0x{KEY}.", f"secret: {KEY}"):
        assert KEY not in shown(f"Here: {KEY}", known)
    for known in (f"pool key 0x{KEY}", f"The pool id is 0x{KEY}. What is a private key?"):
        assert KEY in shown(f"Here: {KEY}", known)


def test_shortened_form_of_a_known_address_stays() -> None:
    text = f"Pay {ADDRESS[:6]}...{ADDRESS[-4:]} today."
    assert shown(text, ADDRESS) == text


def test_an_address_inside_known_calldata_may_be_named() -> None:
    assert shown(f"It pays {OTHER}.", f"Decode {CALLDATA}") == f"It pays {OTHER}."


def test_calldata_is_never_shown_not_even_if_known() -> None:
    for text in (
        CALLDATA,
        CALLDATA[:10] + " " + " ".join(CALLDATA[10:][i : i + 64] for i in (0, 64)),
    ):
        found = check(f"Sign {text} now", Known.of(CALLDATA))
        assert "calldata withheld" in found.flags and "a9059cbb" not in found.text
        assert found.text.endswith("now")


def test_calldata_in_groups_of_eight() -> None:
    groups = "0x" + " ".join(CALLDATA[2:][i : i + 8] for i in range(0, len(CALLDATA) - 2, 8))
    found = check(f"Data: {groups} end", Known.of(""))
    assert found.text == "Data: [calldata withheld] end"


@pytest.mark.parametrize(
    "secret",
    [
        KEY,
        f"0x{KEY}",
        "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ",
        "L1aW4aubDFB7yfras2S1mN3bqg9nwySY8nkoLmJebSLD5BWv3ENZ",
        "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi",
        "-----BEGIN EC PRIVATE KEY-----\nMHQCAQEEIFakekeyfakekey\n-----END EC PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nMHQCAQEEIFakekey and it never ends",
    ],
)
def test_private_keys_are_hidden(secret: str) -> None:
    found = check(f"The key: {secret}", Known.of(""))
    assert found.flags == ("private key withheld",)
    assert found.text == "The key: [private key withheld]"


@pytest.mark.parametrize("count", [12, 15, 18, 21, 24])
def test_recovery_phrases_are_hidden(count: int) -> None:
    words = Random(count).choices(WORDS, k=count)
    numbered = "\n".join(f"{i}. {word}" for i, word in enumerate(words, 1))
    for text in (" ".join(words), ", ".join(words), " ".join(words).upper(), numbered):
        found = check(f"It is: {text}", Known.of(""))
        assert found.flags == ("seed phrase withheld",)
        # The first number stands before the first word.
        assert found.text.replace("1. ", "") == "It is: [seed phrase withheld]"


def test_phrases_in_other_languages_and_prose_that_is_none() -> None:
    spanish = Mnemonic("spanish").to_mnemonic(bytes(range(16)))
    assert check(spanish, Known.of("")).flags == ("seed phrase withheld",)
    prose = (
        "A pool earns a fee on each trade, and the share of every provider grows with the volume. "
        "If the price moves outside the range, the position holds one token and earns nothing."
    )
    assert shown(prose) == prose
    assert shown(" ".join(WORDS[:11])) == " ".join(WORDS[:11])


def test_addresses_may_be_allowed_keys_may_not() -> None:
    found = check(f"{OTHER} and {KEY} and {PHRASE}", Known.of(""), addresses=False)
    assert OTHER in found.text and KEY not in found.text and PHRASE not in found.text


TEXTS = [
    f"Send to {OTHER}, not to {ADDRESS}. The fee is 0.3% of 100 USDC.",
    f"Address: 0x {' '.join(OTHER[2:][i : i + 4] for i in range(0, 40, 4))} is it, and cafe too.",
    f"Key {KEY} and phrase {PHRASE} and more words after that, such as abandon ability.",
    f"Sign {CALLDATA[:10]} {CALLDATA[10:74]} {CALLDATA[74:]} at once 0x 12 and 0 x.",
    "A 100 0 x 50 grid; 10x; block 0x112a880; able about above; drainer.eth and bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq.",
    "-----BEGIN EC PRIVATE KEY-----\nMHQC AQEE\n-----END EC PRIVATE KEY----- done, -----BEGIN CERTIFICATE----- x",
    "-----BEGIN PRIVATE KEY-----\nnever ends",
    "\u200b".join(f"pay {OTHER} now") + " fin",
    f"{OTHER[:10]}...{OTHER[-6:]} or {ADDRESS[:6]}…{ADDRESS[-4:]} ok",
    "1. abandon 2. ability 3. able 4. about 5. above 6. absent 7. absorb 8. abstract 9. absurd 10. abuse 11. access 12. accident. Keep it",
    "",
]


@pytest.mark.parametrize("text", TEXTS, ids=lambda t: t[:20])
@pytest.mark.parametrize("seed", range(6))
def test_a_stream_shows_what_the_whole_shows(text: str, seed: int) -> None:
    rng, known = Random(seed), Known.of(f"I am {ADDRESS}")
    stream, said, at = OutputStream(known), [], 0
    while at < len(text):
        step = 1 if seed == 0 else rng.randint(1, 9)
        said.append(stream.feed(text[at : at + step]))
        at += step
    said.append(stream.close())
    whole = check(text, known)
    assert "".join(said) == whole.text
    assert set(stream.flags) == set(whole.flags)


def test_a_stream_holds_back_little() -> None:
    stream = OutputStream(Known.of(""))
    text = "The swap fee of this pool is 0.3% of what you sell, and it is paid in the same token. "
    lag, sent = 0, 0
    for i, character in enumerate(text):
        sent += len(stream.feed(character))
        lag = max(lag, i + 1 - sent)
    assert lag <= 24
    assert stream.close() == "" or sent + len(stream.close()) <= len(text)


def test_a_stream_lets_go_of_no_part_of_a_secret() -> None:
    for secret in (OTHER, f"0x{KEY}", PHRASE, CALLDATA):
        stream, said = OutputStream(Known.of("")), ""
        for character in f"It is {secret}":
            said += stream.feed(character)
        assert said.strip() == "It is"
        assert stream.close().endswith("withheld]")


def test_folding_leads_back_to_the_original() -> None:
    text = "a\u200b０ｘ１２\u2060b"
    folded = fold(text)
    assert folded.text == "a0x12b"
    start, end = folded.span(1, 5)
    assert text[start:end] == "０ｘ１２"


@pytest.mark.parametrize(
    "text",
    [
        "0x" * 4000,
        "0 " * 4000,
        "ab " * 4000,
        "f" * 20_000,
        "able " * 3000,
        "\ud800",
        "-----BEGIN" * 500,
        "A" * 200_000,
        "&#48;" * 4000,
        "&" * 20_000,
        "&a" * 10_000,
        f"private key {B64} " * 500,
        "private key " * 4000,
        "EQ-" * 60_000,
    ],
)
def test_hostile_outputs_are_checked_in_time(text: str) -> None:
    assert isinstance(check(text, Known.of("")).text, str)


@pytest.mark.parametrize(
    "secret",
    [
        f"{KEY[:32]} {KEY[32:]}",
        f"{KEY[:32]}\n{KEY[32:]}",
        f"**{KEY[:32]}** {KEY[32:]}",
        "-".join(KEY[i : i + 8] for i in range(0, 64, 8)),
        " ".join(KEY[i : i + 4] for i in range(0, 64, 4)),
        " ".join(KEY),
        ", ".join(f"0x{KEY[i : i + 2]}" for i in range(0, 64, 2)),
        "".join(f"\\x{KEY[i : i + 2]}" for i in range(0, 64, 2)),
        f"q{KEY}h",
        str(list(bytes.fromhex(KEY))),
        str(list(bytes(range(64)))),
        " ".join(OTHER[2:][i : i + 4] for i in range(0, 40, 4)),
        f"{OTHER[2:22]} {OTHER[22:]}",
        PHRASE.replace(" ", " \u2192 "),
        PHRASE.replace(" ", " \U0001f511 "),
        "\n".join(f"\u2022 {word}" for word in PHRASE.split()),
        "".join(chr(ord(c) + 0xFEE0) if c != " " else c for c in PHRASE),
        PHRASE.replace("o", "\u043e"),
    ],
)
def test_a_secret_in_groups_or_other_letters_is_hidden_whole_and_streamed(secret: str) -> None:
    text = f"It says: {secret} and so on, 0.3% of it."
    found = check(text, Known.of(""))
    assert "withheld]" in found.text and found.text.endswith("and so on, 0.3% of it.")
    assert len(found.text) < 80
    for size in (1, 3, 7):
        stream = OutputStream(Known.of(""))
        said = [stream.feed(text[at : at + size]) for at in range(0, len(text), size)]
        assert "".join([*said, stream.close()]) == found.text
    # What was given may be repeated, but for a phrase or the bytes of a key.
    if "seed" not in found.text and "[" not in secret:
        assert shown(text, f"Given: {secret} .") == text


@pytest.mark.parametrize(
    "text",
    [
        "The selectors are 0xa9059cbb, 0x095ea7b3, 0x23b872dd, 0x70a08231 and 0xdd62ed3e.",
        "Selectors: 0xa9059cbb 0x095ea7b3 0x23b872dd 0x70a08231 0xdd62ed3e",
        "Years 2019 2020 2021 2022 2023 2024 2025 2026 2027 2028 were calm.",
        "Opcodes: 60 80 60 40 52 34 80 15 61 00 10 57",
        "Scores [1, 2, 3], [255, 0] and a list [" + ", ".join(["7"] * 20) + "].",
        "Commits 1a2b3c4d 5e6f7a8b and 9c0d1e2f changed the fee.",
        "A bad cafe fed a dead bee; add 10 a day, be fed a fee. Ada faced a decade.",
    ],
)
def test_honest_rows_of_figures_stay(text: str) -> None:
    assert check(text, Known.of("")) == (text, ())


ENTITIES = "".join(f"&#{ord(c)};" for c in f"0x{KEY}")


@pytest.mark.parametrize(
    "text",
    [
        f"Your private key is {B64} and so on",
        f"Secret key (Base64):\n```\n{B64}\n```\nKeep it.",
        f"PRIVATE KEY of account 3: {B64URL.rstrip('=')}, keep it",
        f"PRIVATE_KEY={B64}\nRPC=x",
        f"[Interface]\nPrivateKey = {B64}\nAddress = 10.0.0.2",
        f'{{"kty": "OKP", "d": "{B64URL.rstrip("=")}", "x": 1}}',
        f"It is {base64.b64encode(KEY.encode()).decode()} now",
        f"It is {base64.b64encode(f'0x{KEY}'.encode()).decode()} now",
        f"It is {base64.urlsafe_b64encode(PHRASE.encode()).decode()} now",
        f"It is {base64.b64encode(OTHER.encode()).decode()} now",
        f"It is {ENTITIES} now",
        f"It is {ENTITIES.replace(';', '')} now",
        "It is " + "".join(f"&#x{ord(c):016X};" for c in KEY) + " now",
        f"It is 0x{'&ZeroWidthSpace;'.join(KEY)} now",
        f"It is {'&shy;'.join(OTHER)} now",
        f"It is {PHRASE.replace(' ', '&nbsp;')} now",
        f"The priv&#97;te&#32;key: {B64} now",
        f"The private key\u200b{chr(0x2060) * 90}: {B64} now",
    ],
)
def test_a_secret_in_base64_or_entities_is_hidden_whole_and_streamed(text: str) -> None:
    found = check(text, Known.of(""))
    assert "withheld]" in found.text and not {B64, B64URL.rstrip("=")} & set(found.text.split())
    assert KEY not in html.unescape(found.text).replace("\u200b", "")
    for size in (1, 2, 5, 11):
        stream = OutputStream(Known.of(""))
        said = [stream.feed(text[at : at + size]) for at in range(0, len(text), size)]
        assert "".join([*said, stream.close()]) == found.text


@pytest.mark.parametrize(
    "text",
    [
        f"The digest is {B64}, and the private key is nowhere.",
        f"Its private key stays here; the public key is {B64}.",
        "The private key's fingerprint is SHA256:nThbg6kXUpJWGl7E1IGOCspRomTxdCARLviKw6E5SY8 here",
        f"integrity=sha256-{B64} beside a private key",
        "A private key lives in /usr/local/share/denizen/workspaces/keys4You as a file",
        "Private key: see SigningKeyDerivationFunctionForSecp256k1ForUs4Z, a class.",
        "AT&T, a & b, R&D; 1 &lt; 2 &amp;&amp; 3 &gt; 2; &#8364; 5 &unknown; &#; &#x; &#0; q&a",
        "See https://example.org/?a=1&copy=2&b64=" + base64.b64encode(b"\x89PNG" * 20).decode(),
        "eyJhbGciOiJIUzI1NiJ9 " + base64.b64encode(b"a harmless sentence, said at some length" * 3).decode(),
    ],
)  # fmt: skip
def test_honest_base64_and_entities_stay(text: str) -> None:
    assert check(text, Known.of("")) == (text, ())
    stream = OutputStream(Known.of(""))
    assert "".join([*(stream.feed(c) for c in text), stream.close()]) == text


def test_what_the_sources_hold_in_base64_may_be_repeated_but_for_keys() -> None:
    inside = base64.b64encode(f"owner {OTHER}".encode()).decode()
    assert shown(f"It is {inside} .", f"tokenURI {inside}") == f"It is {inside} ."
    assert B64 not in shown(f"private key: {B64}", f"private key: {B64}")


@pytest.mark.parametrize("seed", range(40))
def test_any_mixture_streams_as_the_whole(seed: int) -> None:
    """Pieces of secrets, entities and what is invisible, in any order."""
    rng = Random(seed)
    parts = [
        "private key", "secret key: ", " ", "\n", B64, B64URL.rstrip("="), ENTITIES, ENTITIES[:40],
        "&", "&#", "&#4", "8;", "&#32;", "&nbsp;", "&amp;", "#48;", ";", "\u200b" * 60, "\x00",
        OTHER, ADDRESS, KEY, "0x12\u202634", "public ", "\uff06#48;", "\U0001d6e2", "=", "x", "word ",
        '"d": "', base64.b64encode(OTHER.encode()).decode(), "[", "]",
    ]  # fmt: skip
    text = "".join(rng.choice(parts) for _ in range(rng.randint(2, 14)))
    known = Known.of(ADDRESS)
    stream, said, at = OutputStream(known), "", 0
    while at < len(text):
        step = rng.choice((1, 2, 7, 30))
        said += stream.feed(text[at : at + step])
        at += step
    assert said + stream.close() == check(text, known).text


def test_what_stands_right_behind_something_hidden_is_hidden_too() -> None:
    text = f"{KEY}0 x\n{OTHER[2:]} end"
    assert OTHER[2:] not in shown(text) and shown(text).endswith(" end")


def test_a_key_whose_mark_runs_into_its_end_never_streams_out() -> None:
    text = f"-----BEGIN PRIVATE KEY-----END X-----\nMHQ CAQ {'word ' * 30}"
    stream = OutputStream(Known.of(""))
    said = "".join([*(stream.feed(c) for c in text), stream.close()])
    assert said == shown(text) == "[private key withheld]"


@pytest.mark.parametrize(
    "text",
    ["able " * 1500, "able about " * 700, "0x " + "ab cd " * 1000, "f e " * 1500,
     "-----BEGIN PRIVATE KEY-----\n" + "word " * 1500, "[" + "1, " * 2000,
     "QUFB" * 5000, "&#97;" * 1500],
)  # fmt: skip
def test_a_long_row_costs_no_caller_the_others_time(text: str) -> None:
    stream, began = OutputStream(Known.of("")), time.perf_counter()
    for at in range(0, len(text), 4):
        stream.feed(text[at : at + 4])
    stream.close()
    assert time.perf_counter() - began < 4  # looked at piece by piece it took 8 to 16 seconds
