"""What must hold for any bytes at all, tried on bytes that a fuzzer chooses."""
