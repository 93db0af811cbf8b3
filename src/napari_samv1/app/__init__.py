"""The application: open documents and requests to the model; no napari, no Qt."""
