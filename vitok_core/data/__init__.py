"""Data: the registry of data sets, image sources, and the deterministic sampler.

`sources` and `manifest` import neither torch nor numpy: planning asks them whether data is there.
"""
