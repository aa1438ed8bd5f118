"""A new bundle that runs, with its gaps marked.

    python -m common.new NAME --like cotr    # writes bundles/NAME, tests/bundles/NAME and its benchmark
    python -m common.new NAME --check        # lists the gaps that are left; fails while there are any

``--like`` names a bundle with the same kind of data and the same way of training.  The new one uses the same
parts and the same phantom.  What belongs to the other's method alone is left out: the network is MONAI's
U-Net, and where a part needs a loss or a way to adapt, it gets a plain one.  Nothing has to be filled in
before the first run; whatever has to be filled in by the end is marked ``to fill:``.

* ``starts/parts/<part>.json``: what a recipe on this part begins with.  ``null`` removes what an earlier
  part's start gave.
* ``starts/outputs/<format>.json``: the same for a bundle whose data no part knows yet.  The rest of the
  other's recipe is copied, and so are the modules that it names (:mod:`common.new.borrowed`).
* ``templates/``: all other files.  ``{{name}}`` and the like are filled in (:mod:`common.new.files`).

docs/adding_a_bundle.md says what comes next.  None of this is packed with a bundle.
"""
