# Of what is passed in order the limit is one thread's, and says so.
seq 100 >hundred
verso hash --explain hundred
