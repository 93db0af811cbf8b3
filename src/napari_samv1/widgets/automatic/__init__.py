"""The panel's part "Everything": find all objects, filter, accept, review."""
