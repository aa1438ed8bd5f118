"""What stands between the network and MONAI Label: who may ask, for what, with which names.

On the server's path by itself (``tools.label.__main__``): the checkout is not.
"""
