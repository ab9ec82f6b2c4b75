# What to do about a failure is said in the words of the command line, never in those of the library.
mkdir -p fifos directories source
echo 1 >source/file
echo 1 >file
mkfifo fifos/file
mkdir directories/file
{
    verso copy --quiet -rT source fifos
    verso copy --quiet --delta file /dev/null
    verso copy --quiet --in-place --verify file /dev/null
    verso copy --quiet -rT source directories
    verso copy --quiet --in-place file directories
    verso copy --quiet file file
    verso copy --quiet file /proc/none
    verso copy --quiet --method=range --resume file copy
    verso copy --quiet --method=mapped --cache=drop file copy
    verso copy --quiet --accept-changed --reflink=always --hash file copy
} 2>&1 | tee told | cut -d: -f 2-
grep -nE 'VERSO_COPY|verso_[a-z]+_|_INIT|header' told || echo "nothing of the library's"
