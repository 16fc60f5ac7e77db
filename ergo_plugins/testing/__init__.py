"""What every method has to keep, also a user's own: ``pytest --pyargs ergo_plugins.testing``.

Without arguments all methods are tested that are installed; ``-k name`` chooses one.
"""
