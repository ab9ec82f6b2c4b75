# Only a terminal gets colours by itself; NO_COLOR, --color=never and a dumb terminal take them away again; asked for
# with --color=always they come anywhere.
coloured() { if grep -q $'\e'; then echo "$1 coloured"; else echo "$1 plain"; fi; }
verso doctor | coloured pipe
verso doctor --color=always | coloured always
NO_COLOR=1 verso doctor --color=always | coloured always-NO_COLOR
script -qec 'TERM=xterm verso doctor' /dev/null | coloured terminal
script -qec 'TERM=xterm NO_COLOR= verso doctor' /dev/null | coloured empty-NO_COLOR
script -qec 'TERM=xterm NO_COLOR=1 verso doctor' /dev/null | coloured NO_COLOR
script -qec 'TERM=xterm verso doctor --color=never' /dev/null | coloured never
script -qec 'TERM=dumb verso doctor' /dev/null | coloured dumb
