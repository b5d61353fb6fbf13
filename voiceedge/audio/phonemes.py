"""Pronounced Korean (Hangul as it sounds) to the phonetic symbols that Kokoro's Japanese voices know."""

from voiceedge.audio.pronunciation import decompose, pronounce

VERSION = 3  # part of the prompt cache's key: raise it whenever a symbol changes

_VOWELS = {
    "ㅏ": "a", "ㅐ": "ɛ", "ㅑ": "ja", "ㅒ": "jɛ", "ㅓ": "ʌ", "ㅔ": "e", "ㅕ": "jʌ", "ㅖ": "je", "ㅗ": "o",
    "ㅘ": "wa", "ㅙ": "wɛ", "ㅚ": "we", "ㅛ": "jo", "ㅜ": "u", "ㅝ": "wʌ", "ㅞ": "we", "ㅟ": "wi", "ㅠ": "ju",
    "ㅡ": "ɯ", "ㅢ": "ɯi", "ㅣ": "i",
}  # fmt: skip
_CODAS = {"": "", "ㄱ": "k", "ㄴ": "n", "ㄷ": "t", "ㄹ": "l", "ㅁ": "m", "ㅂ": "p", "ㅇ": "ŋ"}
# Plain stops are voiced at the start of a word too: these voices have two rows of stops for Korean's three, and so
# plain ones differ from tense ones there (docs/results/0002-voices.md).
_ONSETS = {
    "ㄱ": "ɡ", "ㄲ": "k", "ㄴ": "n", "ㄷ": "d", "ㄸ": "t", "ㄹ": "ɾ", "ㅁ": "m", "ㅂ": "b", "ㅃ": "p", "ㅅ": "s",
    "ㅆ": "s", "ㅇ": "", "ㅈ": "ʥ", "ㅉ": "ʨ", "ㅊ": "ʨʰ", "ㅋ": "kʰ", "ㅌ": "tʰ", "ㅍ": "pʰ", "ㅎ": "h",
}  # fmt: skip
_TENSE_AFTER_VOICE = {"ㄲ": "ʔk", "ㄸ": "ʔt", "ㅃ": "ʔp", "ㅉ": "ʔʨ"}  # after a stop the closure is there already
_SONORANT = {"", "ㄴ", "ㄹ", "ㅁ", "ㅇ"}
_PUNCTUATION = {"·": " ", "…": ",", "。": ".", "、": ","}


def korean(text: str) -> str:
    """Symbols for a Korean text without digits or Latin letters (see `reading`); what has no sound is left out."""
    symbols: list[str] = []
    before: str | None = None  # the coda of the syllable just said, None at the start of a word
    for character in pronounce(text):
        if "가" <= character <= "힣":
            onset, vowel, before = _syllable(character, before)
            symbols += (onset, vowel, _CODAS[before])
        else:
            before = None
            mark = _PUNCTUATION.get(character, character)
            if mark in ".,?! ":
                symbols.append(mark)
    return "".join(symbols)


def _syllable(character: str, before: str | None) -> tuple[str, str, str]:
    onset, vowel, coda = decompose(character)
    said, sounds = _ONSETS[onset], _VOWELS[vowel]
    if before in _SONORANT:
        said = _TENSE_AFTER_VOICE.get(onset, said)
    if onset == "ㄹ" and before == "ㄹ":
        said = "l"
    if onset in "ㅅㅆ" and (sounds[0] in "ij" or vowel == "ㅟ"):
        said = "ɕ"
    if onset in "ㅅㅆㅈㅉㅊ" and sounds[0] == "j":
        sounds = sounds[1:]
    return said, sounds, coda
