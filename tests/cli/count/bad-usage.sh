for bad in --threads=1000 --threads=x --method=fast --cache=all "-r" "--files0-from=nowhere" "--files0-from=/dev/null x" \
    --lines=3 -z nowhere . ""; do
    # shellcheck disable=SC2086 # several words on purpose
    verso count ${bad:-''} </dev/null
    echo "$?: $bad."
done
printf 'a\0\0b\0' | verso count --files0-from=-
printf -- '-\0' | verso count --files0-from=-
verso count <&-
echo "exit $?"
