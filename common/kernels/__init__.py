"""Operators that are hot in a profile, a folder each; import an operator from its folder.

In a folder ``reference.py`` is the definition in plain PyTorch, ``cpu.py`` the form for a CPU, ``triton.py``
that for a GPU (where they exist), and ``__init__.py`` the operator, which chooses among them.
"""
