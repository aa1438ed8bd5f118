"""A bundle's configs, written from its recipe.

    python -m common.recipes            # make configs: writes the configs of all bundles
    python -m common.recipes cotr       # of one
    python -m common.recipes --check    # writes nothing; fails where a file is not what its recipe gives

``bundles/<name>/recipe.json`` holds what is specific to the bundle.  Its ``on`` names parts
(``parts/<name>.json``) that hold what it shares with others: a way of training, or a kind of data.  The
parts, in order, and then the recipe are laid on one another; the result is plain MONAI configs.

Parts and recipes have sections.  A section is a config: ``train``, ``inference``, ``metadata``, or an overlay
on the first two such as ``evaluate`` and ``paper``.  What is in ``both`` goes into the first two.

A section uses MONAI's overlay language:

* ``"key": value`` gives a key, or replaces it in its place;
* ``"a#b": value`` replaces what is at ``b`` inside ``a``; it must exist;
* ``"+a#b": value`` adds to the list or the mapping at that place.

A new key goes after the key that precedes it in its section (leading ones go before the first key that
already exists), so that a config reads in one order, whichever layer adds to it.

Recipes add five things of their own, none of which reaches a config:

* ``"<required>"`` and ``"<optional>"`` mark slots.  A recipe that leaves a required slot unfilled is
  refused; an unfilled optional slot is dropped.  ``"<none>"`` removes what an earlier layer gave.
* A mapping with ``"_list_": true`` becomes the list of its values: its items have names in a recipe
  (``train#handlers#clip``), and one that is replaced keeps its place.
* A section ``nodes`` holds nodes by name.  A mapping with ``"_use_": "name"`` becomes a copy of that node,
  and its other keys are laid on the copy.
* ``{bundle}`` is the bundle's name.
* ``{pin:PACKAGE}`` is the version that requirements.txt pins.

Nothing here imports torch or MONAI, and none of it is packed with a bundle.
"""
