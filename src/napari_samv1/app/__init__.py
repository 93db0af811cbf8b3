"""The application: open documents and what is asked of the model; no napari, no Qt."""
