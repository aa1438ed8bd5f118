"""Raw layouts of public data sets, one file each; a file's name is the data set's.

Each holds ``READER``, a :class:`common.datasets.raw.prepare.Reader`.
"""
