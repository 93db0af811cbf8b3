"""Labels layers as masks."""
