verso
