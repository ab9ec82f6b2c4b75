verso doctor --frobnicate; echo $?
verso doctor -Z; echo $?
verso doctor --quiet=3; echo $?
verso doctor --color; echo $?
verso doctor --color=red; echo $?
