"""One file for each bundle; see :class:`benchmarks.speed.measure.Case`."""
