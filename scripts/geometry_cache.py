"""Add published mouth geometry to a cache, as utterances of which only the shape is known.

    python scripts/geometry_cache.py GEOMETRY -o caches/all

GEOMETRY is a folder of SPEAKER.npz (``gunileo.corpus.geometry`` says what they hold). Prepare the videos into the cache
first: an utterance that is there already stays as it is. A file that is damaged is named and skipped; the exit code
is 1 then. Single utterances that can't be used are counted. A cache that can't be written to ends the work.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gunileo.corpus.cache import CacheError
from gunileo.corpus.geometry import add_speaker
from gunileo.errors import GunileoError
from gunileo.util.files import FileError
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
    new = kept = left_out = 0
    failed = []
    with progress("adding") as bar:
        for number, path in enumerate(paths, 1):
            try:
                added = add_speaker(path, arguments.output)
            except (CacheError, FileError) as error:  # of the cache, and so of every further file
                failed.append(str(error))
                break
            except GunileoError as error:
                failed.append(str(error))
            else:
                new, kept, left_out = new + added.new, kept + added.kept, left_out + added.left_out
            bar(number, len(paths))
    wrong = f", {left_out} left out, as their words or measures are wrong" if left_out else ""
    print(f"{new} utterances added, {kept} were there already{wrong}")
    print(*failed, sep="\n", file=sys.stderr, end="\n" if failed else "")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
