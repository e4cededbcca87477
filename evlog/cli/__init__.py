"""The command line: the only floor that prints, reads the clock or the environment."""
