"""The command `kf`, one file a group of commands."""
