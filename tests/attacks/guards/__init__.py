"""What is taken out of a copy of the source to show what stops an attack: `TAKEN_OUT` of each module is (file, old,
new)."""
