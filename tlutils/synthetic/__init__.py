"""Pictures, sounds and cards drawn with their truth; NumPy and SciPy only."""
