"""Reading a sweep file: from YAML with its marks to a checked `Spec`, all mistakes at once."""
