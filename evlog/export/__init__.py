"""Export: events leave the store, in a stream or as files, and a resume point says how far they went."""
