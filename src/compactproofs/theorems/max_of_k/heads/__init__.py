"""Theorems about the largest of K tokens for networks with several heads: what heads write is added up."""
