"""A world in which a small policy learns to say where something is: expressions, boxes, and thoughts that help."""
