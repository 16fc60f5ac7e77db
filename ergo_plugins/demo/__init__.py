"""A page on this machine on which people drop an image, ask, and see where a model looks."""
