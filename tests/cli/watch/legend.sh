# Letters mean something else in each row, so the legend says which row it speaks of; one page is not "pages".
printf x >file
verso watch --once file | grep -oE '^1 B in .* of|^one letter .*,|cache:  . [a-z]+'
