# In a tree nothing is followed: not in the source, not in what lies in the target.
mkdir -p tree/sub elsewhere out/tree
echo new >tree/file
echo new >tree/sub/file
echo old >elsewhere/file
ln -s ../../elsewhere/file out/tree/file
ln -s ../../elsewhere out/tree/sub
verso copy --quiet -r tree out; echo "exit $?"
cat elsewhere/file out/tree/file
stat -c %F out/tree/file out/tree/sub
ls elsewhere
# A link over a directory, a directory over a link: no.
ln -s nowhere tree/kind
mkdir out/tree/kind
verso copy --quiet -r tree out; echo "exit $?"
stat -c %F out/tree/kind
# A link over a file, a file over a link.
rm -r out/tree tree/sub
mkdir out/tree
echo 1 >out/tree/kind
verso copy --quiet -r tree out; echo "exit $?"
readlink out/tree/kind
# By name and without --recursive, a target that is a link is followed.
ln -s file out/tree/alias
echo newer >newer
verso copy --quiet newer out/tree/alias; echo "exit $?"
cat out/tree/file
readlink out/tree/alias
