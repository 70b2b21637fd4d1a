"""Diffusion and flow on codes: how they are noised, what is learned, how samples are drawn."""
