"""Journals copied into other people's trackers, from outside of any training."""
