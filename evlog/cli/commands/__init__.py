"""The commands: a thin skin over the operations, one file each."""
