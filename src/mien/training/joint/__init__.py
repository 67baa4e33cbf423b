"""Joint learning: rounds of labels that networks and clusters give."""
