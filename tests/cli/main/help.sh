verso --help
