"""The evaluation of runs that were trained, and how their results compare."""
