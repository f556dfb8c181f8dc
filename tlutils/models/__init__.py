"""Pretrained networks, where each may be cut, and their weights."""
