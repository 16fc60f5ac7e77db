"""verl without an accelerator, for trying things out and for tests: chosen by ``VERL_PLATFORM=ergo_cpu``."""
