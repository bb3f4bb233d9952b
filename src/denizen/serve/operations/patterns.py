"""What counts as a secret or as somebody's own in text: one rule for each kind, with its check.

Contract: `RULES` in order of precedence; `rule.spans(text)` gives (kind, start, end). Keys written
as Base64, as numbers or in HTML's entities are known by what guard/ knows of them. Every pattern
starts at a literal or at a boundary and is bounded, or takes one class of characters to its end
with nothing required after it: no input makes any of them slower than linear. No span holds a
square bracket but that of a PEM block, so placeholders are never taken apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from denizen.serve.guard.encoded import BEFORE, RUN, SHORTEST, decoded, is_key
from denizen.serve.guard.folding import ENTITY, fold
from denizen.serve.guard.seedwords import EXTENDED, NUMBERS, WIF
from denizen.serve.operations.seeds import seed_spans

SECRETS = ("PRIVATE_KEY", "SEED_PHRASE", "SECRET")
PERSONAL = ("ADDRESS", "HASH", "DATA", "ENS", "EMAIL", "IBAN", "CARD")
Span = tuple[str, int, int]
_Judge = Callable[[re.Match[str]], Span | None]


@dataclass(frozen=True, slots=True)
class Rule:
    """What finds one kind; a text that has any holds one of `hints` (in small letters)."""

    find: Callable[[str], Iterator[Span]]
    hints: tuple[str, ...] = ()

    def spans(self, text: str, lower: str) -> Iterator[Span]:
        """Kind, start and end of what is found; `lower` is the text in small letters."""
        hinted = not self.hints or any(hint in lower for hint in self.hints)
        return self.find(text) if hinted else iter(())


def _rule(pattern: str | re.Pattern[str], judge: _Judge | str, *hints: str, flags: int = 0) -> Rule:
    compiled = re.compile(pattern, flags)

    def find(text: str) -> Iterator[Span]:
        for match in compiled.finditer(text):
            if isinstance(judge, str):
                yield (judge, *match.span(1 if compiled.groups else 0))
            elif (span := judge(match)) is not None:
                yield span

    return Rule(find, hints)


def _seeds(text: str) -> Iterator[Span]:
    for start, end in seed_spans(text):
        yield "SEED_PHRASE", start, end


def _encoded(text: str) -> Iterator[Span]:
    """Base64 of a key that is called one, or of a text that holds a secret."""
    behind = 0
    for match in RUN.finditer(text):
        start, end = match.span()
        before = text[max(behind, start - BEFORE) : start]
        if is_key(match[0], before[before.rfind("]") + 1 :]):
            yield "PRIVATE_KEY", start, end
            behind = end
        elif len(match[0]) >= SHORTEST and (inner := decoded(match[0])):
            lower = inner.lower()
            found = (kind for rule in RULES for kind, _, _ in rule.spans(inner, lower))
            if any(kind in SECRETS for kind in found):
                yield "SECRET", start, end


def _entities(text: str) -> Iterator[Span]:
    """What the other rules find once HTML's entities are read, where it stands."""
    if ENTITY.search(text) is None or (folded := fold(text)).text == text:
        return
    left, found = folded.text, list[tuple[int, int, str]]()
    for rule in RULES[1:]:
        end, parts = 0, list[str]()
        for kind, start, stop in rule.spans(left, left.lower()):
            if start >= end:
                found.append((*folded.span(start, stop), kind))
                parts += [left[end:start], "]" * (stop - start)]  # as a placeholder would stand
                end = stop
        left = "".join([*parts, left[end:]])
    yield from ((kind, start, stop) for start, stop, kind in sorted(found))


_KEY_NEAR = re.compile(
    r"priv(?:ate)?[ _-]?key|privkey|secret|signing[ _-]?key|wallet[ _-]?key", re.I
)
_HASH_NEAR = re.compile(r"hash|\btx|transaction|sha-?256|digest|root|block|topic|pool|\bid\b", re.I)


def _hex(match: re.Match[str]) -> Span | None:
    """An address has 40 digits; 64 are a key or a hash, which only what stands beside tells."""
    start, end = match.span(1)
    digits = match[1].lower()
    prefixed = digits.startswith("0x")
    digits = digits[2:] if prefixed else digits
    if not prefixed and digits.isdecimal():
        return None  # a number, not bytes
    if len(digits) == 40:
        return "ADDRESS", start, end
    near = match.string[max(0, start - 48) : start] + " " + match.string[end : end + 32]
    if len(digits) in (64, 128):
        if _KEY_NEAR.search(near):
            return "PRIVATE_KEY", start, end
        # Wallets show keys bare and explorers show hashes with 0x: the bare one is a key.
        return ("HASH" if prefixed or _HASH_NEAR.search(near) else "PRIVATE_KEY"), start, end
    return "DATA", start, end


# Length of an IBAN by country (ISO 13616 registry).
_IBAN = dict(
    re.findall(
        r"([A-Z]{2})(\d\d)",
        "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29"
        "ES24FI18FK18FO18FR27GB22GE22GI23GL18GR27GT28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28"
        "LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25"
        "QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22VG24XK20",
    )
)


def _iban(match: re.Match[str]) -> Span | None:
    if (length := _IBAN.get(match[1].upper())) is None:
        return None
    text, end, wanted = match.string, match.start(), int(length)
    compact = ""
    while len(compact) < wanted and end < len(text):
        letter = text[end]
        if letter.isascii() and letter.isalnum():
            compact += letter.upper()
        elif letter not in " -" or text[end - 1] in " -":
            return None
        end += 1
    if len(compact) < wanted or (end < len(text) and text[end].isalnum()):
        return None
    # ISO 7064: letters are 10 to 35, the head goes to the end, the rest by 97 must be 1.
    number = int("".join(str(int(c, 36)) for c in compact[4:] + compact[:4]))
    return ("IBAN", match.start(), end) if number % 97 == 1 else None


_ISSUED = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}"
    r"|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}|35(?:2[89]|[3-8]\d)\d{12}"
    r"|6(?:011|5\d\d|4[4-9]\d)\d{12}|62\d{14,17}"
)
_UNITS = re.compile(r"\s{0,2}(?:wei|gwei|units?|base units?)\b", re.I)


def _card(match: re.Match[str]) -> Span | None:
    start, end = match.span(1)
    digits = re.sub(r"\D", "", match[1])
    if not _ISSUED.fullmatch(digits) or not _luhn(digits):
        return None
    # One integer in ten passes Luhn, and amounts in wei are as long: round ones are amounts.
    if digits == match[1] and (digits.endswith("000000") or _UNITS.match(match.string, end)):
        return None
    return "CARD", start, end


def _luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    doubled = [int(d) * (1 + place % 2) for place, d in enumerate(reversed(digits))]
    return sum(d - 9 * (d > 9) for d in doubled) % 10 == 0


_SUFFIX = re.compile(r"\.eth(?![\w-])", re.I)


def _ens(match: re.Match[str]) -> Span | None:
    name = match[0]
    start = len(name) - len(name.lstrip(".-_"))
    ends = [suffix.end() for suffix in _SUFFIX.finditer(name, start + 1)]
    return ("ENS", match.start() + start, match.start() + ends[-1]) if ends else None


# Addresses of other chains, as guard/addresses.py knows them, with bounds on every look ahead:
# bech32 in either case, Tron, Bitcoin, Solana and Polkadot, TON.
_BASE58 = "[1-9A-HJ-NP-Za-km-z]"
_MIXED = r"(?=[0-9A-Za-z]{0,47}[0-9])(?=[0-9A-Za-z]{0,47}[A-Z])(?=[0-9A-Za-z]{0,47}[a-z])"
_OTHER_CHAINS = (
    r"(?<![\w-])(?=[\w-]{26})(?:"
    r"(?:(?:bc1|tb1|ltc1|addr1)[ac-hj-np-z02-9]{25,100}|(?:BC1|TB1|LTC1)[AC-HJ-NP-Z02-9]{25,100}"
    rf"|[a-z]{{3,12}}1[ac-hj-np-z02-9]{{38,58}}|{_MIXED}(?:T{_BASE58}{{33}}|[13]{_BASE58}{{25,34}}"
    rf"|{_BASE58}{{43,44}}|[15]{_BASE58}{{46,47}}))(?!\w)"
    r"|[EUk0]Q(?=[\w-]{0,45}[0-9])(?=[\w-]{0,45}[a-z])[A-Za-z0-9_-]{46}(?![\w-]))"
)
_TOKEN = r"[0-9A-Za-z_-]"
_PREFIXES = (
    r"sk-|[rsp]k_(?:live|test)_|dnz_|gh[pousr]_|github_pat_|glpat-|xox[abeoprs]-|xapp-|hf_|npm_|"
    r"pypi-|AIza|ya29\.|dop_v1_|shpat_|lsv2_|whsec_|GOCSPX-"
)
_NAMES = (
    r"api[_-]?key|access[_-]?key|secret[_-]?key|client[_-]?secret|secret|passw(?:or)?d|passphrase|"
    r"(?:auth|access|refresh|id)[_-]?token"
)
_VALUE = r"""[^\s"'&,;<>\[\](){}]"""

RULES = (
    Rule(_entities, ("&",)),  # before the others see no more than parts of it
    _rule(
        r"-----BEGIN [A-Z0-9 ]{1,40}-----(?:[^-]|-(?!----)){0,16384}+"
        r"(?:-----END [A-Z0-9 ]{1,40}-----)?",
        "SECRET",
        "-----begin ",
    ),
    Rule(_seeds),
    _rule(r"(?<=://)[^\s/@?#\[\]]{1,512}+(?=@)", "SECRET", "://"),
    _rule(
        r"(?:infura\.io/(?:ws/)?v3/|alchemy\.com/v2/|quiknode\.pro/|ankr\.com/[a-z_]{1,40}/)"
        rf"({_TOKEN}{{16,}})",
        "SECRET",
        "infura",
        "alchemy",
        "quiknode",
        "ankr",
        flags=re.I,
    ),
    _rule(rf"(?<!{_TOKEN})eyJ{_TOKEN}{{8,}}(?:\.{_TOKEN}*){{1,4}}(?<={_TOKEN})", "SECRET", "eyj"),
    _rule(
        r"authorization[\"']?\s{0,3}[:=]\s{0,3}[\"']?(?:(?:basic|bearer|token|digest)\s{1,3})?"
        rf"({_VALUE}{{8,}})",
        "SECRET",
        "authorization",
        flags=re.I,
    ),
    _rule(
        r"(?<![0-9a-z])bearer\s{1,4}(?=[a-z._~+/=-]{0,200}[0-9])([0-9a-z._~+/=-]{16,})",
        "SECRET",
        "bearer",
        flags=re.I,
    ),
    _rule(rf"(?<![0-9A-Za-z])(?:{_PREFIXES})(?=[A-Za-z_-]{{0,64}}[0-9]){_TOKEN}{{16,}}", "SECRET"),
    _rule(
        r"(?<![0-9A-Za-z])(?:AKIA|ASIA|AGPA|AIDA|AROA)[0-9A-Z]{16}(?![0-9A-Za-z])", "SECRET", "a"
    ),
    _rule(
        r"private[_-]?key[\"']?\s{0,3}[:=]\s{0,3}[\"']?"
        rf"((?={_VALUE}{{0,256}}[0-9]){_VALUE}{{8,}})",
        "PRIVATE_KEY",
        "private",
        flags=re.I,
    ),
    _rule(
        rf"(?:{_NAMES})[\"']?\s{{0,3}}[:=]\s{{0,3}}[\"']?({_VALUE}{{8,}})",
        "SECRET",
        "key",
        "secret",
        "pass",
        "token",
        flags=re.I,
    ),
    _rule(EXTENDED, "PRIVATE_KEY", "prv"),
    _rule(WIF, "PRIVATE_KEY"),
    _rule(NUMBERS, "PRIVATE_KEY", "["),
    Rule(_encoded),
    # Two addresses may touch: the 0 of the second is no digit of the first.
    _rule(r"(0[xX](?:(?!0[xX])[0-9a-fA-F]){40,})", _hex, "0x"),
    _rule(r"(?<![0-9A-Za-z])([0-9a-fA-F]{40,})(?![0-9A-Za-z])", _hex),
    _rule(_OTHER_CHAINS, "ADDRESS"),
    _rule(r"(?<![0-9A-Za-z])([A-Za-z]{2})[0-9]{2}", _iban),
    _rule(
        r"(?<![\w.-])(?=([0-9]{13,19}(?![\w-]|[.,][0-9])"
        r"|[0-9]{4}([ -])[0-9]{4}\2[0-9]{4}\2[0-9]{4}(?![\w-]|[.,][0-9])"
        r"|[0-9]{4}([ -])[0-9]{6}\3[0-9]{5}(?![\w-]|[.,][0-9])))",
        _card,
    ),
    _rule(r"(?<![\w.+%-])[\w.+%-]++@[\w-]{1,63}(?:\.[\w-]{1,63}){1,10}", "EMAIL", "@"),
    _rule(r"""[^\s<>"'(),;:!?/\\\[\]{}|@=*`]+""", _ens, ".eth"),
)
