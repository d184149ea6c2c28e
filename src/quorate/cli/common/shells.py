"""The scripts of `quorate completion`, and the answer to what they ask: click's machinery and protocols.

The scripts are ours because those of click let bash expand `*` and backslashes in what is answered, cut values at commas in
fish, and complete nothing after `--option=` in bash and zsh. They also ask by the line up to the cursor: bash splits
`https://host:2379` into five words.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import NoReturn

import click
from click.shell_completion import BashComplete, CompletionItem, FishComplete, ShellComplete, ZshComplete, split_arg_string

from quorate.cli.common.completion import VARIABLE
from quorate.cli.common.go_flags import plain_flags
from quorate.cli.common.output import end_stdout, give_up_stderr
from quorate.foreign.text import visible

_TYPEABLE = re.compile(r"[A-Za-z0-9_./+,-]*")
"""No other character gets into a command line. Each of the three protocols is one of lines, and commas split their lines."""

_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")

_BASH = r"""%(complete_func)s() {
    local IFS=$'\n' prefix="" response type value
    [[ ${COMP_WORDS[COMP_CWORD]} == -*=* ]] && prefix="${COMP_WORDS[COMP_CWORD]%%%%=*}="
    COMPREPLY=()
    response=$(env COMP_LINE="${COMP_LINE:0:COMP_POINT}" %(complete_var)s=bash_complete "$1" </dev/null 2>/dev/null)
    while IFS=, read -r type value; do
        case $type in
            dir) compopt -o plusdirs ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("$prefix$value") ;;
        esac
    done <<< "$response"
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""

_ZSH = r"""#compdef %(prog_name)s
%(complete_func)s() {
    local line="${(j: :)words[1,CURRENT-1]} $PREFIX" prefix="" paths="" type value help
    local -a response plain described
    response=("${(@f)$(env COMP_LINE="$line" %(complete_var)s=zsh_complete "${words[1]}" </dev/null 2>/dev/null)}")
    [[ $PREFIX == -*=* ]] && prefix="${PREFIX%%%%=*}="
    for type value help in "${response[@]}"; do
        case $type in
            dir) paths=-/ ;;
            file) paths=-f ;;
            plain) if [[ $help == _ ]]; then plain+=("$prefix$value"); else described+=("$prefix$value:$help"); fi ;;
        esac
    done
    (( $#described )) && _describe -V unsorted described -U
    (( $#plain )) && compadd -U -V unsorted -a plain
    [[ -n $prefix ]] && compset -P 1 '*='
    [[ -n $paths ]] && _path_files $paths
    return 0
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
"""

_FISH = r"""function %(complete_func)s
    set -l token (commandline -ct)
    set -l prefix (string match -r -- '^-[^=]*=' "$token")
    set -l rest (string replace -r -- '^-[^=]*=' '' "$token")
    set -l program (commandline -opc)
    set -l asked COMP_LINE=(commandline -cp | string collect) %(complete_var)s=fish_complete
    for line in (env $asked $program[1] </dev/null 2>/dev/null)
        set -l found (string split -m 1 , -- $line)
        switch $found[1]
            case dir
                for one in (__fish_complete_directories "$rest" "")
                    echo "$prefix$one"
                end
            case file
                for one in (__fish_complete_path "$rest" "")
                    echo "$prefix$one"
                end
            case plain
                echo "$prefix$found[2]"
        end
    end
end
complete --no-files --command %(prog_name)s --arguments "(%(complete_func)s)"
"""


class _Limited(ShellComplete):
    """Reads the line of the user, and answers only with what is safe in it."""

    def get_completion_args(self) -> tuple[list[str], str]:
        before, last = _split(os.environ.get("COMP_LINE", ""))
        return plain_flags(before), last

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[str]]:
        found = super().get_completions(args, incomplete)
        return [_shown(item) for item in found if item.type != "plain" or _TYPEABLE.fullmatch(item.value)]


def _split(line: str) -> tuple[list[str], str]:
    """Returns the words after the program's name, and the last one, which is to be completed and may be empty."""
    # The letter makes a word of what follows the last blank, and closes nothing that is open.
    words = split_arg_string(f"{line}x")
    while words and _ASSIGNMENT.match(words[0]):
        words.pop(0)
    *before, last = words[1:] or ["x"]
    return before, last.removesuffix("x")


def _shown(item: CompletionItem[str]) -> CompletionItem[str]:
    # The shell knows the path that it is to complete. A path with a line break would be read as another answer.
    value = item.value if item.type == "plain" else ""
    return CompletionItem(value, item.type, visible(item.help) if item.help else None)


class _Bash(_Limited, BashComplete):
    source_template = _BASH


class _Zsh(_Limited, ZshComplete):
    source_template = _ZSH


class _Fish(_Limited, FishComplete):
    source_template = _FISH


SHELLS: dict[str, type[_Limited]] = {"bash": _Bash, "zsh": _Zsh, "fish": _Fish}


def script(root: click.Command, shell: str) -> str:
    """Returns the script that has the shell complete command lines of `quorate`."""
    kind = SHELLS[shell]
    return kind(root, {}, "quorate", VARIABLE).source()


def answer(root: click.Command, asked: str) -> NoReturn:
    """Prints the answer for the shell and the question in `asked`, such as zsh_complete, and exits. Prints no error and reads
    no input: it runs while a user types."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    give_up_stderr()
    shell, _, question = asked.partition("_")
    with suppress(Exception):
        kind = SHELLS[shell](root, {}, "quorate", VARIABLE)
        end_stdout((kind.source() if question == "source" else kind.complete()) + "\n")
    # A usual exit would wait for threads that still resolve the name of a host.
    os._exit(0)
