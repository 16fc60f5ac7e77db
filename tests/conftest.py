"""For all tests: properties are checked by what they say, not by how busy the machine is."""

from hypothesis import settings

settings.register_profile("ergo", deadline=None)
settings.load_profile("ergo")
