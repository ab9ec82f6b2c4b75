verso help $'a\nb\e[2J\xff'
