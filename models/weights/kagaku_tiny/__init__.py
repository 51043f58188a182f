"""The weights of kagaku-tiny; `card.md` says what they are."""
