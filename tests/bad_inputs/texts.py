"""Texts, chats and parameters that are wrong wherever they stand, and texts that are only strange."""

from typing import Any

from tests.bad_inputs.entries import Asked

#: More characters than any model of the corpus takes.
_LONG = 100_001

_WRITES = ("text_generation",)
_GENERATES = ("text_generation", "translation", "summarization")

#: For every family that reads texts.
READ = [
    Asked("C081 an empty text", ""),
    Asked("C081 one character over the limit", "a" * _LONG),
    Asked("C082 an object", {"a": 1}),
    Asked("C082 a text among lists", [["hello"], 5]),
    Asked("C082 nothing in the list", []),
    Asked("C082 a list of other things", ["hello", None]),
    Asked("C082 a bad text among good ones", ["hello", "world", ""]),
    Asked("C082 more texts than a request may have", ["a"] * 10_000),
    Asked("C087 a parameter of another task", parameters={"aggregation_strategies": "none"}),
    Asked("C087 a parameter of nobody", parameters={"__proto__": 1}),
    Asked("C091 a deadline of 0", headers={"x-request-timeout-ms": "0"}),
    Asked("C091 a negative deadline", headers={"x-request-timeout-ms": "-1"}),
    Asked("C091 a deadline in words", headers={"x-request-timeout-ms": "abc"}),
    Asked("C091 a deadline of 30 years", headers={"x-request-timeout-ms": str(10**12)}),
    Asked("C098 emoji, flags, right to left", "👩‍👩‍👧 🇩🇪 \u202e\u2066", None),
    Asked("C099 a megabyte of a letter", "a" * 1_000_000),
    Asked("C101 a letter with 40 marks", "a" + "\u0301" * 40),
    Asked("C101 a letter with 60,000 marks", "a" + "\u0301" * 60_000),
    Asked("C102 what is no character", "\ufffe\uffff\U000f0000\U000e0fff", None),
    Asked("C103 a forged line of a log", 'x\r\n{"severity": "ERROR"}\x1b[31m\u2028', None),
    Asked("C105 markup", "<script>alert(1)</script>", None),
    Asked("C106 nothing that is seen", "\u200b\u200d\ufeff", None),
    Asked("C106 nothing but control characters", "\x01\x02\x07", None),
    Asked("C106 nothing but punctuation", "?!…—", None),
    Asked("C106 nothing but space", " \t\n\u3000", None),
    Asked("C107 a long word", "ab" * 2_000, None),
    # NFKD takes this letter for eighteen.
    Asked("D200 letters that grow eighteenfold", "\ufdfa" * 1_000, None),
    Asked("D201 marks that change places", "a" + "\u0301\u0316" * 200),
    Asked("D201 marks alone", "\u0301" * 100),
    Asked("D201 31 marks", "a" + "\u0327" * 31),
    Asked("D201 30 marks", "a" + "\u0327" * 10, None),
    Asked("D201 marks beyond the first plane", "\U00011099" + "\U000110ba" * 100),
    Asked("D202 Hangul in parts", "\u1100\u1161\u11a8" * 300, None),
    Asked("D203 special tokens", "[CLS] [SEP] [MASK] [PAD] </s> <s> <|endoftext|> <unk>", None),
    Asked("D204 bytes of a tokenizer", "<0x00> <0xFF> Ġ ▁ ##a", None),
    Asked("D205 a text of NUL", "a\x00b", None),
    Asked("D206 right to left and back", "\u202a\u202b\u202d\u202e" * 200, None),
    Asked("D207 letters with three faces", "ǅ ŉ ﬃ ß İ ı", None),
    Asked("D208 variation selectors", "a" + "\ufe0f" * 500, None),
    Asked("D209 tags", "\U0001f3f4" + "\U000e0067" * 100, None),
    Asked("D210 a number", 5),
    Asked("D210 a boolean", True),
    Asked("D210 nothing", None),
    Asked("D211 a template", "{{ 7 * 7 }} {% for i in range(10**9) %} ${jndi:ldap://x}", None),
]

#: For models that write.
WRITTEN = [
    Asked("C083 max_new_tokens 0", parameters={"max_new_tokens": 0}, families=_GENERATES),
    Asked("C083 max_new_tokens -1", parameters={"max_new_tokens": -1}, families=_GENERATES),
    Asked("C083 max_new_tokens 1e9", parameters={"max_new_tokens": 1e9}, families=_GENERATES),
    Asked("C083 max_new_tokens 2^63", parameters={"max_new_tokens": 2**63}, families=_GENERATES),
    Asked("C083 max_new_tokens 1.5", parameters={"max_new_tokens": 1.5}, families=_GENERATES),
    Asked("C083 max_new_tokens true", parameters={"max_new_tokens": True}, families=_GENERATES),
    Asked("C083 max_new_tokens in a list", parameters={"max_new_tokens": [1]}, families=_GENERATES),
    Asked(
        "C085 more together than a request may",
        parameters={"num_beams": 8, "num_return_sequences": 9},
        families=_GENERATES,
    ),
    Asked("C086 a seed in words", parameters={"seed": "few"}, families=_GENERATES),
    # OpenAI's seeds may be any integer.
    Asked("C086 a negative seed", code=None, parameters={"seed": -1}, families=_GENERATES),
    Asked("C086 a seed of 2^100", code=None, parameters={"seed": 2**100}, families=_GENERATES),
    Asked("D220 a temperature of 1e308", parameters={"do_sample": True, "temperature": 1e308}, families=_WRITES),
    Asked("D220 a negative temperature", parameters={"do_sample": True, "temperature": -1}, families=_WRITES),
    Asked("D220 a top_p of 0", parameters={"do_sample": True, "top_p": 0.0}, families=_WRITES),
    Asked("D220 a top_k of -1", parameters={"do_sample": True, "top_k": -1}, families=_WRITES),
    Asked("D221 10,000 words to stop at", parameters={"stop": ["x"] * 10_000}, families=_WRITES),
    Asked("D221 a word to stop at of 100,000 letters", parameters={"stop": ["x" * 100_000]}, families=_WRITES),
    # Triton's examples send it, and mean none.
    Asked("D221 an empty word to stop at", code=None, parameters={"stop": [""]}, families=_WRITES),
    Asked("D222 50 numbers of alternatives", parameters={"logprobs": 10**6}, families=_WRITES),
]

_OWN = ("predict",)


def _chat(name: str, messages: Any, code: str | None = "invalid_input") -> Asked:
    return Asked(name, messages, code, families=_WRITES, protocols=_OWN)


#: For models that chat.
CHATS = [
    _chat("D230 a message without a role", [{"content": "hello"}]),
    _chat("D230 a message without content", [{"role": "user"}]),
    _chat("D230 an empty message", [{"role": "user", "content": ""}]),
    _chat("D230 a message that is none", [{"role": "user", "content": "hello"}, "hello"]),
    _chat("D231 10,000 messages", [{"role": "user", "content": "x"}] * 10_000),
    _chat("D231 a message of a megabyte", [{"role": "user", "content": "x" * 1_000_000}]),
    _chat("D231 a role of a megabyte", [{"role": "x" * 1_000_000, "content": "x"}]),
    _chat("D232 a role that is a template", [{"role": "{{ messages }}", "content": "x"}], None),
    _chat("D232 a role of nobody", [{"role": "god", "content": "x"}], None),
    _chat("D233 more fields", [{"role": "user", "content": "x", "tool_calls": []}]),
    _chat("D234 marks in a message", [{"role": "user", "content": "a" + "\u0301" * 60}]),
    _chat("D235 tokens of nobody", [10**9, 5]),
    _chat("D235 negative tokens", [-1, 5]),
    _chat("D235 a million tokens", [5] * 1_000_000),
    _chat("D235 tokens and texts", [5, "a"]),
]

#: For text classification and feature extraction, which read more than texts.
PAIRS = [
    Asked("D240 a pair without its text", {"text_pair": "a"}, families=("text_classification",), protocols=_OWN),
    Asked(
        "D240 a pair with marks",
        {"text": "a", "text_pair": "a" + "\u0301" * 60},
        families=("text_classification",),
        protocols=_OWN,
    ),
    Asked("D240 a pair of numbers", {"text": 1, "text_pair": 2}, families=("text_classification",), protocols=_OWN),
    Asked("D241 no documents", {"query": "a", "documents": []}, families=("feature_extraction",), protocols=_OWN),
    Asked(
        "D241 documents of numbers", {"query": "a", "documents": [1]}, families=("feature_extraction",), protocols=_OWN
    ),
    Asked(
        "D241 10,000 documents",
        {"query": "a", "documents": ["a"] * 10_000},
        families=("feature_extraction",),
        protocols=_OWN,
    ),
    Asked(
        "D241 marks in a document",
        {"query": "a", "documents": ["a" + "\u0301" * 60]},
        families=("feature_extraction",),
        protocols=_OWN,
    ),
    Asked(
        "D241 both at once",
        {"query": "a", "documents": ["a"], "sentences": ["a"]},
        families=("feature_extraction",),
        protocols=_OWN,
    ),
]

TEXTS = [*READ, *WRITTEN, *CHATS, *PAIRS]
