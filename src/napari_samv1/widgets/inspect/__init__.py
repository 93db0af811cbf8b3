"""The dock widget "Inspect model" and its views."""
