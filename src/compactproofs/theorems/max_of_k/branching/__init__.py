"""Branch and bound: integers for margins, and boxes of inputs that are split until they are decided."""
