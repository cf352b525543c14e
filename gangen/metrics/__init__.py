"""Measures of samples against real data, blind to what these are: they look through an extractor, which is a plugin.

``distances``, ``neighbours`` and ``divergence`` compare two sets of features. The other modules are the metrics.
"""
