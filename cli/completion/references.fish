
# Names of the cluster that commands are about, asked of its station; nothing where it does not answer.
function __fish_mainstay_names
    set -l typed (commandline -opc)
    $typed[1] complete-words -- $typed[2..-1] 2>/dev/null
end
complete -c mainstay -a "(__fish_mainstay_names)"
