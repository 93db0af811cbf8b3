"""Any array -> the model's input: pixels, their intensities, their hashes."""
