seq 100 >hundred
verso count --explain hundred
verso count --explain --quiet hundred

verso count --explain --method=read hundred 2>&1 | grep -c ": read, "
verso count -c --explain hundred
