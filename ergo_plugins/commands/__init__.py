"""One module per subcommand of ``ergo``."""
