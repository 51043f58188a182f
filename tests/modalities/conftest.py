from hypothesis import settings

# On a shared machine the first example of a property may take long for reasons of its own.
settings.register_profile("kagaku", deadline=None)
settings.load_profile("kagaku")
