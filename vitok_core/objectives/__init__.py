"""The training losses (Eq. 1)."""
