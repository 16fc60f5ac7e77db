"""A world whose target cannot be seen at first: a small policy learns to read from landmarks where it must be."""
