"""Weight files to models: table of models, downloads, safe reading, configuration, names.

Nothing is imported here, so that the table of models can be shown without torch.
"""
