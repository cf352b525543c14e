"""Names of players and phases, which files are called by: one rule, for recipes and for models alike."""

# Of any script: so many letters and a suffix of gangen's fit into the 255 bytes that file systems take.
LONGEST = 50
RULE = f"letters, digits, '_' and '-', up to {LONGEST}"


def is_name(text: str) -> bool:
    """Whether ``text`` is made as the ``RULE`` says: no path, no hidden file, nothing that steers a terminal."""
    return 0 < len(text) <= LONGEST and text[0] != "-" and ("_" + text.replace("-", "_")).isidentifier()
