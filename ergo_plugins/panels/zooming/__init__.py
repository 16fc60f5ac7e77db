"""A world in which one zoom is often not enough: a small policy learns where to look, and when it has seen enough."""
