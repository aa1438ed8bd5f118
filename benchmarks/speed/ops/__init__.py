"""One file for each operation of ``common.kernels``; see :class:`benchmarks.speed.measure.Case`."""
