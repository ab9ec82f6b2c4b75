# How fast a pipe was passed is told as of a file.
seq 100 | verso find --explain 100
