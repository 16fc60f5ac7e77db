"""Benchmark tasks for stock lmms-eval that it does not ship: written into a folder that ``--include_path`` names."""
