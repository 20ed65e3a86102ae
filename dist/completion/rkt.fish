# SPDX-License-Identifier: Apache-2.0
# fish completion of rkt and actool: the programs themselves know the answers.

function __rkt_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    for line in ($words[1] __complete -- $words[2..-1] $current 2>/dev/null)
        switch $line
            case ':files'
                __fish_complete_path (string replace -r '^--[^=]*=' '' -- $current)
            case ':directories'
                __fish_complete_directories (string replace -r '^--[^=]*=' '' -- $current)
            case '*'
                printf '%s\n' $line
        end
    end
end

complete -c rkt -f -a '(__rkt_complete)'
complete -c actool -f -a '(__rkt_complete)'
