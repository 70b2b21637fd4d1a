"""Tokenizers and codecs that are not trained here, scored as our own are."""
