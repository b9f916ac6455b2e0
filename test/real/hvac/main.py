"""
Asks a server, through hvac, for all that hvac can ask. Reads on stdin what it needs to know of the server, as one JSON
object (see hvac.test.ts), and writes on stdout, as one JSON object, what happened: each step with its failure or null.
"""

import importlib.metadata
import json
import sys
from types import SimpleNamespace

import hvac

import steps_engines
import steps_identity
import steps_kv
import steps_logins
import steps_pki
import steps_sys
import steps_transit
from gaps import gaps_of
from recording import Recorder, offers


def main():
    given = json.load(sys.stdin)
    known = offers(hvac.Client())
    recorder = Recorder(known)

    def client(token=given["token"], url=given["url"], **options):
        return recorder.watch(hvac.Client(url=url, token=token, **options))

    world = SimpleNamespace(client=client, root=client(), **given)
    rooms = (steps_kv, steps_transit, steps_pki, steps_identity, steps_engines, steps_logins, steps_sys)
    steps = []
    for room in rooms:
        for step in room.STEPS:
            steps.append({"step": step.__doc__, "failure": recorder.step(lambda step=step: step(world))})
    gaps = gaps_of(known, recorder.tried)
    json.dump(
        {
            "version": importlib.metadata.version("hvac"),
            "offers": len(known),
            "tried": sorted(recorder.tried),
            "matching": sorted(recorder.answered - recorder.failed),
            "gaps": gaps,
            "steps": steps,
            "untold": [call for call in known if call not in recorder.tried and call not in gaps],
            "both": sorted(call for call in gaps if call in recorder.tried),
            "unknown": sorted(call for call in gaps if call not in recorder.known),
        },
        sys.stdout,
    )


main()
