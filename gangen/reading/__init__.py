"""From files to rows: what a path stands for, formats, encodings, labels of folders."""
