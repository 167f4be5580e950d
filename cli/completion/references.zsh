# Names of the cluster that commands are about, asked of its station; files where it does not answer.
_mainstay_names() {
    local -a typed found
    typed=(${(Q)${(z)LBUFFER}})
    [[ "$LBUFFER" == *[[:space:]] ]] || typed[-1]=()
    found=(${(f)"$($typed[1] complete-words -- $typed[2,-1] 2>/dev/null)"})
    if (( $#found )); then
        compadd -a found
    else
        _default
    fi
}

