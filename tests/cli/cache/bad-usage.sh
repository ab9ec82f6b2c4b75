for bad in "-t -e" "--sync" "--on-fault" "-d" "-P x" "-0" "--range=5-3" "--range=4k" "--range=8E-" "--max-size=lots" \
    "--max-size=1.5" "--top=-1" "--sort=color" "--threads=1000" "--top" "--range=16E-" "--sync=yes"; do
    # shellcheck disable=SC2086 # one or two words on purpose
    verso cache $bad .
    echo "$? $bad"
done
