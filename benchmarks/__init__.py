"""How fast and how large: measured beside the published implementation and transformers'."""
