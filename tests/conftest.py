"""For all tests: properties are checked by what they say, not by how busy the machine is."""

from hypothesis import HealthCheck, settings

settings.register_profile("ergo", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ergo")
