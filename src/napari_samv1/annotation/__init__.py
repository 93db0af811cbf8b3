"""The document: objects of one image, their pieces on its planes, and one history. numpy only."""
