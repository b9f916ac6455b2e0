"""How steps claim things: each raises AssertionError with what was there instead (`python -O` drops plain asserts)."""


def same(found, wanted):
    if found != wanted:
        raise AssertionError(f"{found!r} is not {wanted!r}")


def holds(found, **wanted):
    """These members of an answer are so."""
    for name, value in wanted.items():
        if name not in found:
            raise AssertionError(f"there is no {name} in {sorted(found)}")
        if found[name] != value:
            raise AssertionError(f"{name} is {found[name]!r}, not {value!r}")


def within(what, whole):
    if what not in whole:
        raise AssertionError(f"{what!r} is not in {whole!r}")


def true(found, what):
    if not found:
        raise AssertionError(what)


def refused(error, call, text=""):
    """The call raises this error of hvac, and its text holds that."""
    try:
        answer = call()
    except error as failure:
        within(text, str(failure))
        return
    raise AssertionError(f"answered {answer!r}, and should have raised {error.__name__}")
