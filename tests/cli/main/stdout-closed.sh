# A closed descriptor is not the same as a closed pipe: somebody forgot something, and is told.
verso --version >&-; echo $?
verso doctor >&-; echo $?
