# Names of one file stay names of one file, among all that one command copies.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/copy/common.bash"
mkdir -p a/below b
echo 1 >a/one
ln a/one a/two
ln a/one a/below/three
ln a/one b/four
ln a/one outside
ln -s nowhere a/link
ln a/link b/link
mkdir copy
verso copy --quiet --archive a b copy; echo "exit $?"
stat -c '%n %h' copy/a/* copy/b/* | sort
[[ $(stat -c %i copy/a/one) == $(stat -c %i copy/b/four) ]] && echo "one file"
[[ $(stat -c %i copy/a/link) == $(stat -c %i copy/b/link) ]] && echo "one link"
# Again, over what is there: links to other files become links to the right one.
rm copy/a/below/three copy/b/four
echo other >copy/b/four
verso copy --quiet --archive a b copy; echo "exit $?"
stat -c '%h' copy/a/two copy/b/four
cat copy/b/four
verso copy --quiet --archive --update a b copy; echo "exit $?"
stat -c '%h' copy/b/four
verso copy --quiet --archive --in-place a b copy; echo "exit $?"
stat -c '%h' copy/b/four
# Only what is missing is linked.
rm copy/a/below/three copy/b/four
verso copy --quiet --archive --update a b copy; echo "exit $?"
stat -c '%h' copy/a/one
verso copy --quiet -r a plain; echo "exit $?"
stat -c '%h' plain/one
leftovers
