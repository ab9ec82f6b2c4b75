for bad in "" "-c -l x" "-n -c x" "-o -n x" "-H --no-filename x" "-q --json x" "-f nowhere" "-e" --threads=1000 \
    "x nowhere" "x ." "-r x" "--files0-from=nowhere x"; do
    # shellcheck disable=SC2086 # words on purpose
    verso find $bad </dev/null
    echo "$?: $bad."
done
verso find '' </dev/null; echo "exit $?"
printf 'a\n\nb\n' | verso find -f -; echo "exit $?"
head -c 70000 /dev/zero | tr '\0' x | verso find -f -; echo "exit $?"
seq 5000 | verso find -f -; echo "exit $?"
