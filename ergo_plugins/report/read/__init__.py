"""What reports are made of, read from files: journals, verl's rollouts and metrics, lmms-eval's verdicts."""
