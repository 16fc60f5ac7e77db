"""The zoom itself: standard library and Pillow only. No input or output, no waiting, no host."""
