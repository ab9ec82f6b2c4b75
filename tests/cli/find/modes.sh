printf 'alpha beta\nGamma\nalpha\n\nlast alpha' >text
try() {
    echo "-- $*"
    verso find "$@"
    echo "exit $?"
}
try alpha text
try -n alpha text text
try --no-filename Gamma text text
try -H Gamma text
try -c alpha text
try --count-matches a text
try --count-matches aa - <<<aaa
try -o alpha text
try -o -e alpha -e Gamma text
try -i GAMMA text
try -l alpha text
try -l nowhere text
try -q alpha text
try -q nowhere text
try -q alpha nowhere text
try alpha nowhere text
try -e beta -e last text
try $'beta\nG' text
try -c $'beta\nG' text
try -H Gamma - <text
try Gamma <text
