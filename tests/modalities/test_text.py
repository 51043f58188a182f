import pytest
from hypothesis import given
from hypothesis import strategies as st

from kagaku.errors import InputError
from kagaku.modalities import Text
from kagaku.modalities.sequence import END_ID, MASK_ID, START_ID
from kagaku.modalities.text import MAX_TOKEN_BYTES, TextConfig, text_tokenizer

TEXT = Text()


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_unicode_comes_back_from_its_tokens(text: str) -> None:
    ids = TEXT.tokenize(text).ids[:, 0].tolist()
    assert (ids[0], ids[-1]) == (START_ID, END_ID)
    assert TEXT.decode(ids) == text


@given(st.text(alphabet="<startendmask> ", min_size=1))
def test_no_text_can_spell_a_special_token(text: str) -> None:
    assert all(one > MASK_ID for one in TEXT.tokenize(text).ids[1:-1, 0])


def test_the_special_tokens_stand_first_and_every_byte_has_a_token() -> None:
    vocabulary = text_tokenizer().get_vocab()
    assert [vocabulary[name] for name in ("<start>", "<end>", "<mask>")] == [
        START_ID,
        END_ID,
        MASK_ID,
    ]
    assert len(vocabulary) == Text.vocabulary_size
    assert sum(len(token) == 1 for token in vocabulary) == 256


def test_no_token_is_longer_than_the_size_check_believes() -> None:
    tokens = set(text_tokenizer().get_vocab()) - {"<start>", "<end>", "<mask>"}
    assert max(map(len, tokens)) <= MAX_TOKEN_BYTES


def test_words_of_science_are_few_tokens_and_digits_stand_alone() -> None:
    tokens = text_tokenizer().encode(" enzyme temperature 298.15").tokens
    assert tokens == ["Ġenzyme", "Ġtemperature", "Ġ", "2", "9", "8", ".", "1", "5"]


def test_a_text_of_exactly_the_limit_is_accepted_and_one_more_is_not() -> None:
    text = Text(TextConfig(max_tokens=10))
    assert len(text.tokenize(text.check("1" * 8))) == 10
    with pytest.raises(InputError, match=r"has 11 tokens, more than 10\. Use a shorter text"):
        text.check("1" * 9)


def test_spaces_and_spelling_are_kept() -> None:
    assert TEXT.check("  Caf\u0065\u0301 \r\n") == "  Caf\u0065\u0301 \r\n"


def test_a_limit_without_room_is_refused() -> None:
    with pytest.raises(InputError, match=r"max_tokens must be at least 3, got 2"):
        TextConfig(max_tokens=2)


def test_the_limit_travels_with_the_state() -> None:
    restored = Text()
    restored.load_state(Text(TextConfig(max_tokens=77)).state())
    assert restored.config.max_tokens == 77
