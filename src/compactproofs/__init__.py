"""Certified bounds on the accuracy of small transformers."""
