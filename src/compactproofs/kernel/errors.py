"""The root of what this package raises."""


class CompactProofsError(Exception):
    """An error with a name of its own; each is at the same time one of Python's kinds, as which it can be caught.

    ValueError        MalformedCertificate, UnknownStrategy, UnknownTask, UnknownPlugin, UnusablePlugin, MalformedClaim,
                      InvalidModel, UnknownModel, PluginFailed, Infeasible, TooMuchWork, NotTrainable, NotProved, Misuse
    RuntimeError      UnsuitableArithmetic, ProofFailed
    OSError           WorkersLost, Unfinished
    AssertionError    NotPlanted
    """
