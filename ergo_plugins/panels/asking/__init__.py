"""A world in which a small policy learns when to ask for the full image: some questions need it, most do not."""
