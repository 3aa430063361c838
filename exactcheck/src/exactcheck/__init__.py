"""A second checker of certificates: exact statements, ball arithmetic, one number at a time.

It shares no code with the package and follows `docs/certificate-format.md`.  Only the standard library and python-flint
are used, and everything is written to be read, not to be fast.  Run it as

    exactcheck CERTIFICATE MODEL.safetensors [TABLE.safetensors]
"""
