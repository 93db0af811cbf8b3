"""Points and Shapes layers as prompts."""
