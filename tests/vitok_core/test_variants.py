"""Variant strings and sizes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from vitok_core.variants import SIZES, Tower, Variant

names = st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,8}", fullmatch=True)
sizes = st.integers(1, 4096)


@given(names, names, sizes, sizes)
def test_a_variant_reads_back(encoder: str, decoder: str, patch: int, stride: int) -> None:
    variant = Variant(encoder, decoder, patch, stride)
    assert Variant.parse(str(variant)) == variant


@pytest.mark.parametrize(
    ("text", "variant"),
    [("S-B/16", Variant("S", "B", 16)), ("S-B/4x16", Variant("S", "B", 16, 4))],
)
def test_the_strings_of_the_paper(text: str, variant: Variant) -> None:
    assert Variant.parse(text) == variant
    assert str(variant) == text


@pytest.mark.parametrize(
    "text", ["", "S/16", "S-B", "S-B/", "S-B/0", "S-B/0x16", "S-B/x16", "S-B/16 ", "S-B/16\n"]
)
def test_other_text_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a variant such as S-B/16"):
        Variant.parse(text)


def test_table_1_sizes() -> None:
    assert {name: (t.width, t.blocks, t.heads) for name, t in SIZES.items()} == {
        "S": (768, 6, 12),
        "B": (768, 12, 12),
        "L": (1152, 24, 16),
    }


@pytest.mark.parametrize(
    ("heads", "message"), [(5, "does not divide by heads"), (64, "must be even")]
)
def test_heads_must_fit(heads: int, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Tower(width=64, blocks=1, heads=heads)
