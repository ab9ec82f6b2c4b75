verso doctor --all >text || echo "exit $?"
for label in for without since; do
    [[ $(grep -c "^       $label " text) == $(grep -c '^ [-+x?] .* \(present\|absent\|forbidden\|untried\)' text) ]] ||
        echo "not each feature says '$label'"
done
