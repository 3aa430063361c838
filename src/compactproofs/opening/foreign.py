"""What a file is that was taken for a model and is no safetensors file, and what to do about it: for messages only."""

from __future__ import annotations

from pathlib import Path

_BYTES_READ = 2**16
_RESAVE = "load it where it was made and save its state dict with safetensors.torch.save_file"

# The first bytes, bytes that must follow somewhere, and what that is.
_SIGNATURES: tuple[tuple[bytes, bytes, str], ...] = (
    (b"version https://git-lfs.", b"", "a Git LFS pointer: the file itself was not downloaded; run 'git lfs pull'"),
    (b"PK\x03\x04", b"numpy", f"a zip archive of NumPy arrays (.npz); {_RESAVE}"),
    (b"PK\x03\x04", b"", f"a zip archive, perhaps a PyTorch checkpoint; {_RESAVE}"),
    *((bytes([0x80, protocol]), b"", f"a pickle, perhaps a PyTorch checkpoint; {_RESAVE}") for protocol in range(2, 6)),
    (b"\x1f\x8b", b"", "compressed with gzip; unpack it first"),
    (b"\x89HDF\r\n\x1a\n", b"", f"an HDF5 file; {_RESAVE}"),
    (b"GGUF", b"", f"a GGUF file; {_RESAVE}"),
    (b"\x93NUMPY", b"", f"a NumPy array (.npy); {_RESAVE}"),
    (b"<", b"html", "a web page, perhaps instead of a download"),
    (b"{", b'"weight_map"', "the index of a model in several files; save all tensors into one safetensors file"),
    (b"{", b'"compactproofs certificate"', "a certificate; give the model's file"),
    (b"{", b"", "JSON text; give the model's .safetensors file"),
)


def kind_of(file: Path) -> str | None:
    """What an ordinary file seems to be and what to do, or None if that is unknown or a safetensors file."""
    if not file.is_file():
        return None
    with file.open("rb") as stream:
        start = stream.read(_BYTES_READ)
    if not start:
        return "an empty file; was it written or downloaded to its end?"
    if start[8:9] == b"{":
        return None
    return next((kind for first, later, kind in _SIGNATURES if start.startswith(first) and later in start), None)
