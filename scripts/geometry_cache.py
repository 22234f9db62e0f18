"""Add published mouth geometry to a cache, as utterances of which only the shape is known.

    python scripts/geometry_cache.py GEOMETRY -o caches/all

GEOMETRY is a folder of SPEAKER.npz (``gunileo.corpus.geometry`` says what they hold). Prepare the videos into the cache
first: an utterance that is there already stays as it is. A file that is damaged is named and skipped; the exit code
is 1 then. Single utterances that can't be used are counted.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gunileo.corpus.geometry import Added, add_speaker
from gunileo.corpus.prepare import open_cache
from gunileo.errors import GunileoError
from gunileo.util.progress import progress


def main() -> int:
    """Add all speakers of a folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("geometry", type=Path, help="folder of SPEAKER.npz")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="CACHE")
    arguments = parser.parse_args()
    paths = sorted(arguments.geometry.glob("*.npz"))
    if not paths:
        print(f"{arguments.geometry}: holds no .npz file; give the folder of the mouth geometry", file=sys.stderr)
        return 1
    try:
        with open_cache(arguments.output):
            pass  # what is wrong with it is told once, and not for each file
    except GunileoError as error:
        print(error, file=sys.stderr)
        return 1
    added, failed = Added(0, 0, 0), []
    with progress("adding") as bar:
        for number, path in enumerate(paths, 1):
            try:
                found = add_speaker(path, arguments.output)
            except GunileoError as error:
                failed.append(str(error))
            else:
                added = Added(*(sum(pair) for pair in zip(added, found, strict=True)))
            bar(number, len(paths))
    wrong = f", {added.left_out} left out, as their words or measures are wrong" if added.left_out else ""
    print(f"{added.new} utterances added, {added.kept} were there already{wrong}")
    print(*failed, sep="\n", file=sys.stderr, end="\n" if failed else "")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
