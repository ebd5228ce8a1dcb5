"""How bad a wave is."""
