"""Optimisation: the schedule, the checkpoints and the loop (§2.3)."""
