"""A new bundle that runs, with its gaps marked.

    python -m common.new NAME --like cotr    # writes bundles/NAME, tests/bundles/NAME and its benchmark
    python -m common.new NAME --check        # lists the gaps that are left; fails while there are any

``--like`` names a bundle of the same kind of data and the same way of training.  The new one stands on the
same parts and reads the same phantom.  What the other's method has of its own stays behind: the network is
MONAI's U-Net, and where a part wants a loss or a way to adapt, there is a plain one.  Nothing has to be
filled in before the first run; all that has to be before the last is marked ``to fill:``.

* ``starts/parts/<part>.json``: what a recipe on this part begins with.  ``null`` takes back what an earlier
  part's start gave.
* ``starts/outputs/<format>.json``: the same for a bundle whose data no part knows yet.  The rest of its
  recipe is taken over, and so are the modules that this names (:mod:`common.new.borrowed`).
* ``templates/``: all other files.  ``{{name}}`` and the like are filled in (:mod:`common.new.files`).

docs/adding_a_bundle.md says what comes next.  Nothing of this travels inside a packed bundle.
"""
