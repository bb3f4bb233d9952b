"""Reference figures from Balancer's deployed bytecode, so that no test run is without them.

Run it where denizen[evm] and npm are (the package is fetched by hash, see evm/packages.py):
    python tests/graders/balancer_v2/make_vectors.py 300 1 > tests/graders/balancer_v2/vectors.json
Prints one JSON object: the package, the command, and operations with the state they start from
and what the contract paid and left (null where it refused), one a line.
"""

from __future__ import annotations

import json
import random
import sys
from dataclasses import asdict

from denizen.evm.certify import balancer
from denizen.evm.certify.outcome import Tally
from denizen.evm.packages import PACKAGES, artefact, creation_code


def main(count: int, seed: int) -> None:
    """Record `count` operations of random walks, 12 a pool."""
    package, draw, lines = PACKAGES["balancer-v2"], random.Random(seed), []
    codes = {
        name: creation_code(artefact(package, member)) for name, member in balancer._MEMBERS.items()
    }
    real_step = balancer._draw_step
    tally = Tally("balancer-v2-weighted", seed, ())

    def recorded_step(draw, pool, world):
        kind, figures, call, send = real_step(draw, pool, world)

        def send_and_keep():
            theirs = send()
            case = {"kind": kind, "figures": figures, "pool": asdict(pool), "theirs": theirs}
            lines.append(json.dumps(case, separators=(",", ":")))
            return theirs

        return kind, figures, call, send_and_keep

    balancer._draw_step = recorded_step
    while len(lines) < count:
        balancer._walk(tally, draw, codes, 12)
    head = {
        "source": f"{package.name} {package.version}, WeightedPool of 20230206 behind the Vault",
        "tarball_sha256": package.sha256,
        "command": f"python tests/graders/balancer_v2/make_vectors.py {count} {seed}",
    }
    print(json.dumps(head)[:-1] + ', "cases": [')
    print(",\n".join(lines[:count]))
    print("]}")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
