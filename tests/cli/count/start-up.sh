# What is found, loaded and asked before the first byte is counted is most of what a small file costs: the C library
# alone is looked for, and the compiler's constructor that asks the processor a dozen times is not there.
LD_TRACE_LOADED_OBJECTS=1 verso | grep -c -e xxhash
LC_ALL=C grep -ac __cpu_indicator_init "$(command -v verso)"
true
