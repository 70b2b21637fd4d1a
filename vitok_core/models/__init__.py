"""The networks: ViTok's towers, its latent code and their initialisation (§2.1)."""
