"""Helpers of the course "Transfer Learning, measured": they hide the plumbing, never the subject."""
