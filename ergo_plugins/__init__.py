"""Coarse-to-fine visual zoom for verl and lmms-eval. Importing this package defines names and does nothing else."""

__version__ = "0.1.0"
