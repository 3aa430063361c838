"""Strategies that rule out most outputs, and count the inputs on which the others win."""
