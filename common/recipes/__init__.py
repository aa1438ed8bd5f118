"""A bundle's configs, written from its recipe.

    python -m common.recipes            # make configs: writes the configs of all bundles
    python -m common.recipes cotr       # of one
    python -m common.recipes --check    # writes nothing; fails where a file is not what its recipe gives

``bundles/<name>/recipe.json`` holds what is the bundle's own.  Its ``on`` names parts (``parts/<name>.json``)
that hold what it shares with others: a way of training, or a kind of data.  The parts in their order, then
the recipe, are laid on one another; what comes out are plain MONAI configs.

Parts and recipes have sections.  A section is a config: ``train``, ``inference``, ``metadata``, or an overlay
on the first two such as ``evaluate`` and ``paper``.  What is in ``both`` goes into the first two.

A section speaks MONAI's overlay language:

* ``"key": value`` gives a key, or replaces it in its place;
* ``"a#b": value`` replaces what stands at ``b`` inside ``a``; it must be there;
* ``"+a#b": value`` adds to the list or to the mapping that stands there.

A new key goes behind the key that precedes it in its section (the first ones before the first that is there
already), so that a config reads in one order, whoever adds to it.

Five things more are the recipes' own, and none of them reaches a config:

* ``"<required>"`` and ``"<optional>"`` keep a place.  A recipe that leaves a required one unfilled is
  refused, an optional one falls out.  ``"<none>"`` takes away what an earlier layer gave.
* A mapping with ``"_list_": true`` becomes the list of its values: its items have names in a recipe
  (``train#handlers#clip``), and one that is replaced keeps its place.
* A section ``nodes`` holds nodes by name.  A mapping with ``"_use_": "name"`` becomes a copy of that node,
  and its other keys are laid on the copy.
* ``{bundle}`` is the bundle's name.
* ``{pin:PACKAGE}`` is the version that requirements.txt pins.

Nothing here imports torch or MONAI, and nothing of it travels inside a packed bundle.
"""
