# Where a copy goes: to a name, into a directory, as cp has it.
echo 1 >one
echo 2 >two
mkdir into
verso copy --quiet one copy && cat copy
verso copy --quiet one two into && cat into/one into/two
verso copy --quiet -t into copy && cat into/copy
verso copy --quiet one into/three && cat into/three
verso copy --quiet one into/../into/ && cat into/one
mkdir -p tree/below
echo 3 >tree/below/three
verso copy --quiet -r tree new && cat new/below/three
verso copy --quiet -r tree/ new/ && cat new/tree/below/three
verso copy --quiet -rT tree into && cat into/below/three
mkdir dots
verso copy --quiet -r tree/. dots && cat dots/below/three
(cd tree/below && verso copy --quiet -r .. ../../dots && cat ../../dots/below/three)
ln -s into link
verso copy --quiet two link && cat into/two
ln -s two alias
verso copy --quiet alias followed && stat -c %F followed
verso copy --quiet -r alias kept && stat -c %F kept
chmod 750 one
umask 027
verso copy --quiet one executable && stat -c %a executable
for arguments in "" "one" "-T one two three" "-T -t into one" "nowhere copy" "one nowhere/copy" "one new-name/" "one two three" \
    "-t nowhere one" "-j 65 one two" "--sparse=always one two" "--in-place -n one two" "--method=range --hash one two" \
    "--reflink=never --method=range one two" "--reflink=always --delta one two"; do
    # shellcheck disable=SC2086 # several words on purpose
    verso copy $arguments; echo "exit $?"
done
echo 4 | verso copy --quiet /dev/stdin piped && cat piped
