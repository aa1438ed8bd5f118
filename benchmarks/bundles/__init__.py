"""One file for each bundle; see :class:`benchmarks.measure.Case`."""
