# A name without a letter is still seen to be one.
verso cache ''
echo "exit $?"
verso watch ''
