"""What a line must say to be an event."""
