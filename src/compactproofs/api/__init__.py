"""What the package offers in Python beside its parts: whatever is called a model, certified, and tables of proofs."""
