# Whatever a file is called, its row is one line; names that look like options or are no files.
touch -- $'new\nline' $'\xff' $'\e[2J' 'back\slash' -dash 'é'
verso count -- *
verso count -c ./-dash
verso count - <-dash
