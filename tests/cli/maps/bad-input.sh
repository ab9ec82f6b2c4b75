# One clear line each, and exit 2.
try() { verso maps "$@"; echo "exit $?"; }
try
try 1 2
try ''
try none
try 0
try -- -5
try 12x
try 99999999999999999999
try $'new\nline'
try self --sort colour
try self --rungs many
try self --no-ladder --no-table
try 4194305
