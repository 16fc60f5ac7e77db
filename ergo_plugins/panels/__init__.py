"""A tiny world of panel images, a policy that learns to zoom in it on a laptop, and what measures both."""
