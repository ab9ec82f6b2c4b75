# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# completion - of commands, options and files, for bash. It asks the command's own help, which is made from the tables
# of options: there is no second list to forget.

# _verso_section TITLE COMMAND...: the lines of one section of a command's help.
_verso_section() {
    "${@:2}" --help 2>/dev/null | awk -v title="$1:" '$0 == title { on = 1; next } !NF { on = 0 } on'
}

_verso() {
    local word=${COMP_WORDS[COMP_CWORD]} words

    if ((COMP_CWORD == 1)); then
        words="$(_verso_section Commands "$1" | awk '{ print $1 }') help --help --version"
    elif [[ ${COMP_WORDS[1]} == help ]]; then
        words=$(_verso_section Commands "$1" | awk '{ print $1 }')
    elif [[ $word == -* ]]; then
        words=$(_verso_section Options "$1" "${COMP_WORDS[1]}" | grep -oE '^ +(-., )?--[a-z0-9-]+' | grep -oE -e '--.*')
    else
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        return
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

complete -o filenames -F _verso verso
