verso --version
