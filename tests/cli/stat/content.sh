# What is told of files whose content is known, in words that fit a narrow terminal.
: >empty
head -c 1000 /dev/zero >zeros
printf 'aaaa' >same
printf 'abab\n' >two
printf 'gr\303\274\303\237e \342\202\254 \360\237\230\200\n' >utf8
printf 'gr\374\337e\n' >latin
python3 -c 'import sys; sys.stdout.buffer.write(bytes(range(256)) * 16)' >all
export COLUMNS=40
verso stat empty zeros same two utf8 latin all
verso stat <utf8 | head -n 2
verso stat all | awk 'length > 40'
