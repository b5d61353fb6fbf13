"""What control does for workers, commands and pages, a room for each subject."""
