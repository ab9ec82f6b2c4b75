# FIFOs are made, sockets are told of, devices need root.
mkdir tree
mkfifo -m 640 tree/fifo
python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("tree/socket")'
verso copy -a tree copy 2>&1 | sed 's/ in .*//'; echo "exit ${PIPESTATUS[0]}"
stat -c '%F %a' copy/fifo
ls copy
verso copy --quiet -r tree/fifo again; echo "exit $?"
stat -c %F again
verso copy --quiet -r tree/fifo again; echo "over it: exit $?"
echo 1 >file
verso copy --quiet -r file again 2>&1 | cut -d : -f 1-3; echo "exit ${PIPESTATUS[0]}"
stat -c %F again
