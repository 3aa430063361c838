"""The version of this package, in one place for metadata and certificates."""

__version__ = "0.1.0"
