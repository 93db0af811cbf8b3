"""Everything in an image at once: points are proposed, decoded, filtered, and duplicates dropped."""
