"""How good a model is: the score tables of the release, from images whose objects are known."""
