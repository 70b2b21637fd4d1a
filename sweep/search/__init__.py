"""Adaptive search: trials that a sampler chooses one after the other, run as any other points."""
