"""What hvac offers, and what the steps have asked it to do and got: by the names `sys.seal`, `secrets.kv.v2.patch`, `read`."""

import inspect
import traceback
from pathlib import Path

from hvac.api.secrets_engines import KvV1, KvV2


def methods(of):
    return [name for name, _ in inspect.getmembers(of, inspect.isfunction) if not name.startswith("_")]


def offers(client):
    """The names of all public methods of a client, by introspection."""
    names = [name for name in methods(type(client))]
    names += [f"sys.{name}" for name in methods(type(client.sys))]
    for kind in ("secrets", "auth"):
        for group in type(getattr(client, kind)).implemented_classes:
            names += [f"{kind}.{group.__name__.lower()}.{name}" for name in methods(group)]
    for version, group in (("v1", KvV1), ("v2", KvV2)):
        names += [f"secrets.kv.{version}.{name}" for name in methods(group)]
    return sorted(names)


class Recorder:
    """Which calls were made, which of them hvac took for answered, and which stood in a step that failed."""

    def __init__(self, known):
        self.known = set(known)
        self.tried, self.answered, self.failed, self.during = set(), set(), set(), set()

    def step(self, run):
        """Runs a step; the text of its failure, if it has one."""
        self.during = set()
        try:
            run()
            return None
        except Exception as error:  # noqa: BLE001 - whatever it is, the step has failed by it
            self.failed |= self.during
            frames = traceback.extract_tb(error.__traceback__)
            lines = [f"{Path(one.filename).name}:{one.lineno}" for one in frames if "steps_" in one.filename]
            return f"{lines[-1] if lines else ''} {type(error).__name__}: {error}"

    def watch(self, target, path=""):
        return Watched(self, target, path)


class Watched:
    """The same object; methods under a known name are noted."""

    def __init__(self, recorder, target, path):
        object.__setattr__(self, "_about", (recorder, target, path))

    def __setattr__(self, name, value):
        setattr(self._about[1], name, value)

    def __getattr__(self, name):
        recorder, target, path = self._about
        value = getattr(target, name)
        call = f"{path}{name}"
        if call in recorder.known and callable(value):
            return noting(recorder, call, value)
        if any(known.startswith(f"{call}.") for known in recorder.known):
            return Watched(recorder, value, f"{call}.")
        return value


def noting(recorder, call, method):
    def run(*args, **options):
        recorder.tried.add(call)
        recorder.during.add(call)
        answer = method(*args, **options)
        recorder.answered.add(call)
        return answer

    return run
