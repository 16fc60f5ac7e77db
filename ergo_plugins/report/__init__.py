"""Samples of a run as one static page, and as figures. Needs neither host."""
