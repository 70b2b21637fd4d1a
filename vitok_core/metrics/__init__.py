"""Scores of reconstructions, each with the protocol by which it was measured."""
