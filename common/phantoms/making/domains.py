"""Phantoms in several domains: which cases are trained on, and which form the stream of shifted ones.

``training`` and ``validation`` hold cases of the source domains, ``test`` those of all others, domain
by domain in the phantom's own order.  A case depends on the seed, its domain and its place there,
whatever list it is in: a domain's pictures are the same as a source and as a target.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import InputError
from common.phantoms.making.pictures import write_labelled_picture
from common.phantoms.making.store import Entry, ensure_phantom
from common.phantoms.making.volumes import write_labelled_volume

__all__ = ["ensure_domains"]

MakeCase = Callable[[str, np.random.Generator], tuple[np.ndarray, ...]]
"""``make_case(domain, rng)`` gives the picture (H, W, 3) uint8 and its label (H, W) uint8; or the volume

(X, Y, Z), its label (X, Y, Z) and the affine (4, 4) of both, voxel index to RAS+ mm.
"""


def ensure_domains(
    folder: str | Path,
    *,
    description: Mapping[str, Any],
    parameters: Mapping[str, Any],
    domains: Sequence[str],
    source: str | Sequence[str],
    counts: Mapping[str, int],
    make_case: MakeCase,
) -> str:
    """Make the phantom in ``folder`` unless it is there already, and return the folder.

    Args:
        folder: as in :func:`common.phantoms.making.store.ensure_phantom`.
        description: as in ``ensure_phantom``; the domains are added.
        parameters: as in ``ensure_phantom``, with ``name`` and ``seed``; ``source`` is added.
        domains: all of them, in their order.
        source: the domain, or the domains, of the training and validation cases.
        counts: cases in each list, from every domain that it holds.
        make_case: draws one case.

    Raises:
        InputError: ``source`` names no domain or an unknown one; or as ``ensure_phantom``.
    """
    name, seed = parameters["name"], parameters["seed"]
    sources = _checked_sources(name, source, domains)
    targets = [domain for domain in domains if domain not in sources]
    for section, count in counts.items():
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise InputError(f"{name}: {section}={count!r}; expected a whole number of cases from 0")
    training, validation = counts["training"], counts["validation"]
    # Round robin: the first few training cases, however many, come from all sources.
    listed = {
        "training": [(domain, index) for index in range(training) for domain in sources],
        "validation": [
            (domain, index) for index in range(training, training + validation) for domain in sources
        ],
        "test": [(domain, index) for domain in targets for index in range(counts["test"])],
    }
    cases = {
        section: {f"{name}_{domain}_{index:03d}": (domain, index) for domain, index in pairs}
        for section, pairs in listed.items()
    }
    places = {case: place for section in cases.values() for case, place in section.items()}

    def write_case(root: Path, subset: str, case: str, _: np.random.Generator) -> Entry:
        domain, index = places[case]
        made = make_case(domain, np.random.default_rng([seed, domains.index(domain), index]))
        if len(made) == 3:
            image, label, affine = made
            entry = write_labelled_volume(root, subset, case, image=image, label=label, affine=affine)
        else:
            image, label = made
            entry = write_labelled_picture(root, subset, case, image=image, label=label)
        return {**entry, "domain": domain}

    return ensure_phantom(
        folder,
        description={**description, "domains": list(domains)},
        parameters={**parameters, "source": sources, "per_domain": dict(counts)},
        counts={section: len(pairs) for section, pairs in listed.items()},
        write_case=write_case,
        names={section: list(names) for section, names in cases.items()},
    )


def _checked_sources(name: str, source: str | Sequence[str], domains: Sequence[str]) -> list[str]:
    """The sources in the order of ``domains``."""
    given = [source] if isinstance(source, str) else list(source)
    strangers = [domain for domain in given if domain not in domains]
    if strangers or not given:
        raise InputError(
            f"{name}: source={source!r}; expected one or several of {', '.join(domains)}, such as "
            f"{domains[0]} or {list(domains[:2])}"
        )
    return [domain for domain in domains if domain in given]
