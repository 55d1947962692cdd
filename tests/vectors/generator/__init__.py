"""What `generate.py` makes the verdict corpus of."""
