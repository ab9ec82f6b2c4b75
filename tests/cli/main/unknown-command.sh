verso frobnicate
