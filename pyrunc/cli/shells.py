"""The completion scripts themselves, generated from the commands' own tables. Must know no command by name, but for the
few whose arguments are no ids."""

from __future__ import annotations

from pyrunc.cli import tables
from pyrunc.cli.images import NAMES as IMAGE_COMMANDS
from pyrunc.cli.options import SWITCH
from pyrunc.signals import NAMES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.options import Command, Flag

SIGNALS = " ".join(NAMES)
WORDS = {"image": IMAGE_COMMANDS, "completion": ["bash", "zsh", "fish"]}  # arguments that are neither ids nor files

BASH = """# bash completion of pyrunc, made by `pyrunc completion bash`
_pyrunc() {
    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command= word value= count=0 i
    local -a root=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ -n $value ]]; then
            [[ $value == --root ]] && root=(--root "$word")
            value=
        elif [[ $word == -* ]]; then
            case " $(_pyrunc_with_value "$command") " in *" $word "*) value=$word ;; esac
        elif [[ -z $command ]]; then
            command=$word
        elif [[ $command == image ]]; then
            command="image $word"
        else
            count=$((count + 1))
        fi
    done
    COMPREPLY=()
    if [[ -n $value ]]; then
        word=$(_pyrunc_choices "$command $value")
        if [[ -n $word ]]; then
            COMPREPLY=($(compgen -W "$word" -- "$current"))
        else
            compopt -o filenames 2>/dev/null
            COMPREPLY=($(compgen -f -- "$current"))
        fi
    elif [[ $current == -* ]]; then
        COMPREPLY=($(compgen -W "$(_pyrunc_flags "$command")" -- "$current"))
    elif [[ -z $command ]]; then
        COMPREPLY=($(compgen -W "@COMMANDS@ help" -- "$current"))
    else
        case "$command $count" in
@ARGUMENTS@
        *) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")) ;;
        esac
    fi
}
_pyrunc_flags() {
    case "$1" in
@FLAGS@
    esac
}
_pyrunc_with_value() {
    case "$1" in
@VALUES@
    esac
}
_pyrunc_choices() {
    case "$1" in
@CHOICES@
    esac
}
complete -F _pyrunc pyrunc
"""

ZSH = """#compdef pyrunc
# zsh completion of pyrunc, made by `pyrunc completion zsh`
_pyrunc_ids() {
    local -a ids root
    [[ -n ${opt_args[--root]-} ]] && root=(--root ${opt_args[--root]})
    ids=(${(f)"$(pyrunc $root list -q 2>/dev/null)"})
    compadd -a ids
}
_pyrunc() {
    local curcontext=$curcontext state line
    local -a commands
    typeset -A opt_args
    commands=(
@COMMANDS@
    )
    _arguments -C \\
@GLOBALS@
        '1: :->command' '*:: :->arguments' && return
    case $state in
    command) _describe command commands ;;
    arguments)
        case $line[1] in
@CASES@
        esac ;;
    esac
}
_pyrunc "$@"
"""

FISH = """# fish completion of pyrunc, made by `pyrunc completion fish`
function __pyrunc_ids
    set -l words (commandline -opc)
    set -l root
    for i in (seq (math (count $words) - 1))
        test $words[$i] = --root; and set root --root $words[(math $i + 1)]
    end
    pyrunc $root list -q 2>/dev/null
end
complete -c pyrunc -n __fish_use_subcommand -f
"""


def bash() -> str:
    commands = tables.commands()
    arguments, flags, values, choices = [], [], [], []
    for command in commands:
        if words := _words(command):
            arguments.append(f'        "{command.name} 0") {_reply(words)} ;;')
    signals = _reply(SIGNALS)
    arguments += [f'        "{one.name} 1") {signals} ;;' for one in commands if "[signal]" in one.usage]
    arguments.append(f'        "help 0") {_reply(" ".join(one.name for one in commands))} ;;')
    for name, own in [("", tables.global_flags()), *((one.name, tables.shown(one.flags)) for one in commands)]:
        flags.append(f'    "{name}") echo "{_all_names(own)}" ;;')
        values.append(f'    "{name}") echo "{_all_names([flag for flag in own if flag[1] != SWITCH])}" ;;')
        for flag in own:
            if found := tables.choices(flag):
                pattern = " | ".join(f'"{name} {one}"' for one in tables.names(flag))
                choices.append(f'    {pattern}) echo "{" ".join(found)}" ;;')
    return (
        BASH.replace("@COMMANDS@", " ".join(one.name for one in tables.top()))
        .replace("@ARGUMENTS@", "\n".join(arguments))
        .replace("@FLAGS@", "\n".join(flags))
        .replace("@VALUES@", "\n".join(values))
        .replace("@CHOICES@", "\n".join(choices))
    )


def zsh() -> str:
    commands = tables.top()
    described = [f"        '{one.name}:{_zsh_text(one.summary)}'" for one in commands]
    own = [f"        {text} \\" for flag in tables.global_flags() for text in _zsh_flags(flag)]
    cases = []
    for command in commands:
        rows = [text for flag in tables.shown(command.flags) for text in _zsh_flags(flag)]
        if tables.takes_id(command):
            rows.append("'1:container:_pyrunc_ids'")
        elif words := _words(command):
            rows.append(f"'1: :({words})'")
        if "[signal]" in command.usage:
            rows.append(f"'2:signal:({SIGNALS})'")
        joined = " \\\n                ".join([*rows, "'*:file:_files'"])
        cases.append(f"        {command.name}) _arguments \\\n                {joined} ;;")
    return (
        ZSH.replace("@COMMANDS@", "\n".join(described))
        .replace("@GLOBALS@", "\n".join(own))
        .replace("@CASES@", "\n".join(cases))
    )


def fish() -> str:
    lines = [FISH.rstrip("\n")]
    lines += [_fish_flag("__fish_use_subcommand", flag) for flag in tables.global_flags()]
    for command in tables.top():
        summary = _fish_text(command.summary)
        lines.append(f"complete -c pyrunc -n __fish_use_subcommand -f -a {command.name} -d {summary}")
        seen = f"'__fish_seen_subcommand_from {command.name}'"
        lines += [_fish_flag(seen, flag) for flag in tables.shown(command.flags)]
        if tables.takes_id(command):
            lines.append(f"complete -c pyrunc -n {seen} -f -a '(__pyrunc_ids)'")
        elif words := _words(command):
            lines.append(f"complete -c pyrunc -n {seen} -f -a '{words}'")
        if "[signal]" in command.usage:
            lines.append(f"complete -c pyrunc -n {seen} -f -a '{SIGNALS}'")
    return "\n".join(lines) + "\n"


SHELLS = {"bash": bash, "zsh": zsh, "fish": fish}


def _words(command: Command) -> str:
    """What its first argument may be; an expression of bash for ids."""
    if tables.takes_id(command):
        return '$(pyrunc "${root[@]}" list -q 2>/dev/null)'
    return " ".join(WORDS.get(command.name, ()))


def _reply(words: str) -> str:
    return f'COMPREPLY=($(compgen -W "{words}" -- "$current"))'


def _all_names(flags: list[Flag]) -> str:
    return " ".join(name for flag in flags for name in tables.names(flag))


def _zsh_flags(flag: Flag) -> list[str]:
    """`'--bundle[folder of the bundle]:value:_files'`."""
    choices = tables.choices(flag)
    value = "" if flag[1] == SWITCH else f":value:({' '.join(choices)})" if choices else ":value:_files"
    repeated = "*" if flag[1] == "list" else ""
    return [f"'{repeated}{name}[{_zsh_text(flag[2])}]{value}'" for name in tables.names(flag)]


def _zsh_text(text: str) -> str:
    for letter in ("\\", "[", "]", ":"):
        text = text.replace(letter, f"\\{letter}")
    return text.replace("'", "'\\''")


def _fish_flag(condition: str, flag: Flag) -> str:
    words = [f"complete -c pyrunc -n {condition}"]
    words += [f"-l {name}" if len(name) > 1 else f"-s {name}" for name in flag[0].split(", ")]
    if flag[1] != SWITCH:
        choices = tables.choices(flag)
        words.append(f"-x -a '{' '.join(choices)}'" if choices else "-r")
    return " ".join([*words, f"-d {_fish_text(flag[2])}"])


def _fish_text(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
