"""`kagaku retrosynthesis`: learn from known reactions, and propose reactants of new products."""
