"""Which language a text is written in: by its script, then by its commonest words and letters.

Contract: an ISO 639-1 code out of those that IFEval asks for, or "" where a text gives no evidence
(too short, no letters, or languages tied).  Deterministic and small: it tells whether a model
answered in the language it was told to, and is no general language identifier.
"""

from __future__ import annotations

import unicodedata
from collections import Counter

# One language a script, as far as IFEval goes.
_SCRIPTS = {
    "BENGALI": "bn",
    "GUJARATI": "gu",
    "GURMUKHI": "pa",
    "HANGUL": "ko",
    "HEBREW": "he",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "CJK": "zh",
    "KANNADA": "kn",
    "MALAYALAM": "ml",
    "TAMIL": "ta",
    "TELUGU": "te",
    "THAI": "th",
}

# Commonest function words; a word two languages share counts for both.
_WORDS = {
    "LATIN": {
        "de": "der die das und ist nicht ein eine zu den mit von auf für sich dass auch wir ich",
        "en": "the and of to is in that it for was with as on are be this you not have from",
        "es": "el la los las de que y en un una es por con para se del su lo como más",
        "fi": "ja on ei se että hän oli mutta kun niin ovat tai kuin joka sen myös tämä minä ole",
        "fr": "le la les des et est un une que pour dans qui pas sur au ce avec il je du",
        "it": "il di che e la per un una non sono del con gli le si da anche della è i",
        "pl": "i w nie na się z do to że jest jak o co ale po tak za od są przez",
        "pt": "o a os as de que e em um uma não para com do da se mais por como é",
        "sw": "na ya wa kwa ni katika za la kuwa hii cha kama lakini pia au sana yake hiyo",
        "vi": "và của là có không được cho một người trong với các này để những khi đã tôi như",
    },
    "CYRILLIC": {
        "bg": "и на да се за от е не са с че по като или ще това си към този ми",
        "ru": "и в не на что с по как это он я из у но к за от так для мы вы",
        "uk": "і в не на що з та до як це він за від але у я є для про ми",
    },
    "ARABIC": {
        "ar": "في من على أن إلى التي هذا عن مع لا ما هو كان الذي هذه و أو ذلك قد",
        "fa": "و در به از که این را با است برای آن یک خود تا بر هم می شود ما من",
        "ur": "کے کی میں اور ہے سے کا کو پر نے یہ کہ ہیں اس بھی ایک ہو تھا کر",
    },
    "DEVANAGARI": {
        "hi": "है के में की और का को से हैं पर यह एक नहीं कि ने हो भी था मैं लिए",
        "mr": "आहे आणि या मध्ये ते आहेत च्या हे नाही व एक तर हा की मी होते आपल्या साठी",
        "ne": "छ र को मा हो छन् पनि यो एक भने गर्न लाई ले तथा हुन् थियो म गरेको",
    },
}

# Letters that only one language of its script has.
_LETTERS = {
    "vi": "ăđơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ",
    "pl": "ąćęłńśźż",
    "de": "ß",
    "es": "ñ¿¡",
    "ru": "ыэё",
    "uk": "ієїґ",
    "fa": "پچژگ",
    "ur": "ٹڈڑںےہ",
    "mr": "ळ",
}


def language_of(text: str) -> str:
    """The language most letters and words of a text speak for."""
    scripts = Counter(_script(letter) for letter in text if letter.isalpha())
    scripts.pop("", None)
    if not scripts:
        return ""
    # Japanese mixes scripts: kana decides, however many of the signs are Chinese.
    if scripts["HIRAGANA"] + scripts["KATAKANA"] > scripts["CJK"] / 10:
        scripts["HIRAGANA"] += scripts.pop("CJK", 0)
    script = scripts.most_common(1)[0][0]
    if script in _SCRIPTS:
        return _SCRIPTS[script]
    languages = _WORDS.get(script, {})
    said = Counter(_words(text))
    votes = {
        code: sum(said[word] for word in words.split())
        + sum(text.casefold().count(letter) for letter in _LETTERS.get(code, "")) / 2
        for code, words in languages.items()
    }
    ranked = sorted(votes.items(), key=lambda pair: -pair[1])
    if not ranked or ranked[0][1] == 0 or (len(ranked) > 1 and ranked[0][1] == ranked[1][1]):
        return ""
    return ranked[0][0]


def _words(text: str) -> list[str]:
    """Words with their vowel signs, which `\\w` cuts off in Indian scripts."""
    kept = (
        letter if letter.isalpha() or unicodedata.category(letter)[0] == "M" else " "
        for letter in text.casefold()
    )
    return "".join(kept).split()


def _script(letter: str) -> str:
    return unicodedata.name(letter, "").split(" ")[0]
