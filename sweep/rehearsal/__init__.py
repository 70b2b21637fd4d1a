"""Rehearsing a sweep: its very jobs, each for a few steps, into a results root to throw away."""
