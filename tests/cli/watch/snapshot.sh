# Without a terminal there is one snapshot and no waiting for keys, asked for or not.
head -c 100000 /dev/zero >file
verso watch file >first
verso watch --once file >second
grep -o '^[a-z]\{2,\}' first
diff <(sed 2q first) <(sed 2q second) && echo "the same file"
