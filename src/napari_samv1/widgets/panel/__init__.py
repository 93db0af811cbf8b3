"""The dock widget "Segment Anything" and its parts."""
