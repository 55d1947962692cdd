"""One module per file of the corpus."""
