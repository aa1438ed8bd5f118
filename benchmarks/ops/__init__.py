"""One file for each operation of ``common.kernels``; see :class:`benchmarks.measure.Case`."""
