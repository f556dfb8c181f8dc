"""Which network, which cut, which settings: scores before training, advice, search."""
