# What could not be printed is not passed over.
verso maps self >/dev/full
echo "exit $?"
