#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make the completions of bash, zsh and fish in completions/ from what `uiommu --help`
and `uiommu COMMAND --help` say, so that none can lack an option. With --check nothing is
written: prints a TAP line for each file that says whether it is what it should be.
"""
import argparse
import pathlib
import re
import subprocess
import sys
import typing

TOP = pathlib.Path(__file__).resolve().parent.parent
# Values that help names by one word only.
VALUES = {
    'MODE': ['auto', 'identity', 'scattered'],
    '--address-width': ['39', '48', '57', '64'],
    '--granule': ['4K', '16K', '64K'],
    '--map': ['iova='],  # goes on: no space behind it
}
# What stands behind the options; nothing for other commands.
ARGUMENTS = {'help': 'command', 'replay': 'file', 'run': 'program', 'top': 'pid'}


class Option(typing.NamedTuple):
    name: str
    value: str  # as help calls it, or ''
    text: str
    words: list
    is_file: bool


class Command(typing.NamedTuple):
    name: str
    text: str
    options: list


def run(uiommu, *args):
    return subprocess.run([uiommu, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=60).stdout


def shortened(text):
    """The beginning that means something: a menu has a line for each option."""
    text = re.split(r' \(|; |\. |\.$', ' '.join(text.split()))[0]
    return text if len(text) <= 60 else re.split(', |: ', text)[0]


def paragraphs(text):
    """(option line, its text with what follows, indented) of a help."""
    found = []
    for line in text.splitlines():
        if re.match(r' {2,8}-', line):
            found.append(line)
        elif found and re.match(r' {9,}\S', line):
            found[-1] += ' ' * 2 + line.strip()
        elif found and not line.strip():
            break
    return found


def options(text, formats):
    for paragraph in paragraphs(text):
        name, value, about = re.match(r'\s*(?:-\S, *)?(--[\w-]+)(?:=(\S+)|\[=\S+\])?\s*(.*)',
                                      paragraph).groups()
        words = [word for word in (value or '').split('|') if word.islower()]
        words = VALUES.get(name, VALUES.get(value, words))
        if value == 'FORMAT':
            words = formats + (['all'] if re.search(r'\ball\b', about) else [])
        yield Option(name, value or '', shortened(about), words,
                     bool(re.match('FILE', value or '')))


def commands(uiommu):
    """All commands; the first has no name: what there is without one."""
    said = run(uiommu, 'size', '--iommu', 'none', '--guest', '1G')
    formats = re.search(r'expected one of (.*?)(?: \(|$)', said, re.M)[1].split(', ')
    text = run(uiommu, '--help')
    found = [Command('', '', list(options(text, formats)))]
    for name, about in re.findall(r'^ {2}(\w+) {2,}(.*)$', text, re.M):
        of_command = [] if name == 'help' else options(run(uiommu, name, '--help'), formats)
        found.append(Command(name, shortened(about), list(of_command)))
    return found


def wrapped(words, indent, separator=' ', line_end='\n'):
    """Words in lines of about 90 columns."""
    lines = [[]]
    for word in words:
        if len(separator.join([*lines[-1], word])) > 85 - len(indent.expandtabs()):
            lines.append([])
        lines[-1].append(word)
    return (line_end + indent).join(separator.join(line) for line in lines)


def quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"


# ---- bash ----

BAR = '|\\\n'  # between patterns that go on in the next line

BASH = '''# SPDX-License-Identifier: MIT
# bash completion for uiommu(1); made by tools/completions.py
_uiommu()
{
	local cur prev words cword split
	_init_completion -s || return

	local command=${words[1]} options= i
	for ((i = 2; i < cword; i++)); do
		if [[ $command == run && ${words[i]} == -- ]]; then
			_command_offset $((i + 1))
			return
		fi
	done
	if ((cword == 1)); then
		COMPREPLY=($(compgen -W '%(commands)s' -- "$cur"))
		return
	fi
	case $command$prev in
%(values)s	esac
	$split && return
	case $command in
%(options)s	esac
	if [[ $cur == -* ]]; then
		COMPREPLY=($(compgen -W "$options" -- "$cur"))
		return
	fi
	case $command in
%(arguments)s	esac
} &&
	complete -F _uiommu uiommu
'''
BASH_ARGUMENTS = {
    'command': '''COMPREPLY=($(compgen -W '%s' -- "$cur"))''',
    'file': '_filedir',
    'pid': '''COMPREPLY=($(compgen -W "$(pgrep -f 'uiommu run' 2>/dev/null)" -- "$cur"))''',
    'program': "COMPREPLY=($(compgen -W '--' -- \"$cur\"))",
}


def bash_value(option):
    done = ['_filedir'] if option.is_file else []
    if option.words:
        done.append(f"COMPREPLY+=($(compgen -W '{' '.join(option.words)}' -- \"$cur\"))")
        if option.words[0].endswith('='):
            done.append('compopt -o nospace')
    return ''.join(f'\t\t{line}\n' for line in done)


def bash(found):
    names = [command.name for command in found if command.name]
    by_value = {}
    for command in found[1:]:
        for option in command.options:
            if option.value:
                by_value.setdefault(bash_value(option), []).append(command.name + option.name)
    indent = '\t\t'
    return BASH % {
        'commands': wrapped(names + [option.name for option in found[0].options], indent),
        'values': ''.join(f'\t{wrapped(wheres, indent, "|", BAR)})\n'
                          f'{value}\t\treturn\n\t\t;;\n' for value, wheres in by_value.items()),
        'options': ''.join(
            f"\t{command.name})\n\t\toptions='"
            f"{wrapped([option.name for option in command.options], indent)}'\n\t\t;;\n"
            for command in found[1:] if command.options),
        'arguments': ''.join(
            f'\t{name})\n\t\t{BASH_ARGUMENTS[ARGUMENTS[name]].replace("%s", " ".join(names))}'
            '\n\t\t;;\n' for name in names if name in ARGUMENTS),
    }


# ---- zsh ----

ZSH = '''#compdef uiommu
# SPDX-License-Identifier: MIT
# zsh completion for uiommu(1); made by tools/completions.py
_uiommu_commands()
{
	local -a commands=(
%(commands)s	)
	_describe command commands
}

_uiommu_pids()
{
	local -a pids=(${(f)"$(pgrep -f 'uiommu run' 2>/dev/null)"})
	_describe 'uiommu run' pids
}

_uiommu()
{
	if ((CURRENT == 2)); then
		_arguments %(options)s '1:command:_uiommu_commands'
		return
	fi
	local command=$words[2]
	shift words
	((CURRENT--))
	case $command in
%(cases)s	esac
}

_uiommu "$@"
'''
ZSH_ARGUMENTS = {
    'command': "'1:command:_uiommu_commands'",
    'file': "'1:trace:_files'",
    'pid': "'1:process:_uiommu_pids'",
    'program': "'*:::program:_normal'",
}


def zsh_option(option, many=()):
    text = re.sub(r'([][:\\])', r'\\\1', option.text)
    spec = f'{"*" if option.name in many else ""}{option.name}{"=" if option.value else ""}[{text}]'
    if option.value:
        name = re.match(r'[\w -]*', option.value)[0].lower() or 'value'
        action = f'({" ".join(option.words)})' if option.words else '_files' if option.is_file else ' '
        if option.is_file and option.words:
            action = f'_alternative "words:word:({" ".join(option.words)})" "files:file:_files"'
        if option.words and option.words[0].endswith('='):
            action = f'compadd -S "" -- {" ".join(option.words)}'
            action = '{' + action + '}'
        spec += f':{name}:{action}'
    return quoted(spec)


def zsh(found):
    indent = '\t\t\t'
    return ZSH % {
        'commands': ''.join(f'\t\t{quoted(command.name + ":" + command.text)}\n'
                            for command in found if command.name),
        'options': ' '.join(zsh_option(option) for option in found[0].options),
        'cases': ''.join(
            f'\t{command.name})\n\t\t_arguments -S \\\n{indent}'
            + f' \\\n{indent}'.join([
                *(zsh_option(option, ('--map',)) for option in command.options),
                *([ZSH_ARGUMENTS[ARGUMENTS[command.name]]] if command.name in ARGUMENTS else [])])
            + '\n\t\t;;\n' for command in found[1:]),
    }


# ---- fish ----

FISH = '''# SPDX-License-Identifier: MIT
# fish completion for uiommu(1); made by tools/completions.py
# Whether the command is $argv[1], and its arguments are not yet those of another program.
function __uiommu_command
    set -l words (commandline -opc)
    test (count $words) -ge 2; and test "$words[2]" = "$argv[1]"; and not contains -- -- $words
end

function __uiommu_no_command
    test (count (commandline -opc)) -eq 1
end

# The words after --: another program and its arguments.
function __uiommu_program
    set -l words (commandline -opc) (commandline -ct)
    set -l at (contains -i -- -- $words); or return
    test $at -lt (count $words); or return
    complete -C (string join -- ' ' (string escape -- $words[(math $at + 1)..-2]) "$words[-1]")
end

complete -c uiommu -f
complete -c uiommu -n 'contains -- -- (commandline -opc)' -a '(__uiommu_program)'
'''
FISH_ARGUMENTS = {
    'command': "-a '%s'",
    'file': '-F',
    'pid': "-a '(pgrep -f \"uiommu run\" 2>/dev/null)'",
    'program': "-a -- -d 'the program follows'",
}


def fish_option(option):
    line = f'-l {option.name[2:]} -d {quoted(option.text)}'
    if option.value:
        line += ' -r -F' if option.is_file else ' -x'
    return line + (f" -a '{' '.join(option.words)}'" if option.words else '')


def fish(found):
    names = [command.name for command in found if command.name]
    lines = []
    for command in found:
        condition = f"'__uiommu_command {command.name}'" if command.name else '__uiommu_no_command'
        about = [fish_option(option) for option in command.options]
        if command.name in ARGUMENTS:
            about.append(FISH_ARGUMENTS[ARGUMENTS[command.name]].replace('%s', ' '.join(names)))
        if not command.name:
            about += [f'-a {command.name} -d {quoted(command.text)}' for command in found[1:]]
        lines += ['', *(f'complete -c uiommu -n {condition} {line}' for line in about)]
    return FISH + '\n'.join(lines) + '\n'


FILES = {'uiommu': bash, '_uiommu': zsh, 'uiommu.fish': fish}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--check', action='store_true')
    parser.add_argument('uiommu', help='the command')
    args = parser.parse_args()
    found = commands(args.uiommu)
    failed = 0
    for number, (name, make) in enumerate(FILES.items(), 1):
        path, text = TOP / 'completions' / name, make(found)
        if not args.check:
            path.write_text(text)
            continue
        good = path.exists() and path.read_text() == text
        failed += not good
        print(f'{"ok" if good else "not ok"} {number} - completions/{name} is what make examples makes')
    if args.check:
        print(f'1..{len(FILES)}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
