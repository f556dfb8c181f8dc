"""How good a classifier is, how sure that is, and what it looks at."""
