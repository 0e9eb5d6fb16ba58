#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the shells themselves offer for `uiommu`: every command and every option that the
usage lines name, the formats, files, and another program's own completions behind --.

usage: completions.py UIOMMU COMPLETIONS-DIRECTORY
"""
import os
import pathlib
import pty
import re
import shutil
import subprocess
import sys
import tempfile
import time

from replay_tap import Tap

BASH = '''
. /usr/share/bash-completion/bash_completion
. "$1/uiommu"
COMP_LINE=$2 COMP_POINT=${#2}
eval "COMP_WORDS=($2)"
[[ $2 != *' ' ]] || COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
compopt() { :; } # works only while bash itself completes
_uiommu
printf '%s\\n' "${COMPREPLY[@]}"
'''
# What is offered goes to a file instead of the screen.
ZSH = '''
fpath=(%(directory)s $fpath)
autoload -Uz compinit; compinit -D -u
compadd()
{
	local -a hits
	if [[ " $* " != *' -'[OAD]' '* ]]; then
		builtin compadd -A hits "$@"
		print -rl -- $hits >>%(out)s
	fi
	builtin compadd "$@"
}
# The terminal edits lines itself until the line editor has it.
zle-line-init() { print ready >>%(out)s }
zle-line-finish() { print finished >>%(out)s }
zle -N zle-line-init
zle -N zle-line-finish
'''


def bash(directory, line):
    done = subprocess.run(['bash', '-c', BASH, 'bash', directory, line], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.stdout.split()


def fish(directory, line):
    done = subprocess.run(
        ['fish', '--no-config', '-c', 'source $argv[1]; complete -C $argv[2]',
         f'{directory}/uiommu.fish', line],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return [found.split('\t')[0] for found in done.stdout.splitlines()]


def wait_for(file, text):
    for _ in range(600):
        if file.exists() and text in file.read_text():
            return
        time.sleep(.1)
    raise TimeoutError(f'{file}: no {text!r}: {file.exists() and file.read_text()}')


def zsh(directory, line):
    with tempfile.TemporaryDirectory() as scratch:
        out, setup = pathlib.Path(scratch, 'out'), pathlib.Path(scratch, 'setup')
        setup.write_text(ZSH % {'directory': directory, 'out': out})
        pid, terminal = pty.fork()
        if not pid:
            os.environ.update(ZDOTDIR=scratch, TERM='dumb', PS1='')
            os.execvp('zsh', ['zsh', '-f', '-i'])
        os.write(terminal, f'source {setup}\n'.encode())
        wait_for(out, 'ready\n')
        os.write(terminal, line.encode() + b'\t\x15exit\n')  # Tab, then another line
        wait_for(out, 'finished\n')
        os.close(terminal)
        os.waitpid(pid, 0)
        return [word for word in out.read_text().split('\n')
                if word not in ('', 'ready', 'finished')]


SHELLS = {'bash': bash, 'fish': fish, 'zsh': zsh}


def check_shell(tap, shell, uiommu, directory, commands):
    def offered(line):
        return {word.rstrip('= ') for word in SHELLS[shell](directory, line)}

    found = offered('uiommu ')
    tap.ok(commands <= found, f'{shell}: the commands', f'{commands - found} of {found}')
    for command in sorted(commands - {'help'}):
        usage = subprocess.run([uiommu, command, '--usage'], stdout=subprocess.PIPE, text=True,
                               check=True).stdout
        options = set(re.findall(r'\[(--[\w-]+)', usage))
        found = offered(f'uiommu {command} --')
        tap.ok('--help' in options and options <= found, f'{shell}: the options of {command}',
               f'missing: {options - found}, offered: {found}')
    tap.ok({'vtd', 's390'} <= offered('uiommu size --iommu '), f'{shell}: the formats')
    tap.ok('all' in offered('uiommu replay --iommu '), f'{shell}: and all of them')
    tap.ok('--budget' not in offered('uiommu run --'), f"{shell}: no command's options for another")
    tap.ok({'unlimited'} == offered('uiommu run --memlock u'), f'{shell}: words as values')
    tap.ok('uiommu' in {os.path.basename(word) for word in
                        offered(f'uiommu replay {directory}/uiom')}, f'{shell}: files')
    tap.ok('size' in offered('uiommu run -- uiommu si'), f"{shell}: what another program's has")


def main():
    uiommu, directory = sys.argv[1:]
    tap = Tap()
    text = subprocess.run([uiommu, '--help'], stdout=subprocess.PIPE, text=True, check=True).stdout
    commands = set(re.findall(r'^  (\w+)  ', text, re.M))
    tap.ok({'run', 'size', 'replay'} <= commands, 'help lists commands', text)
    for shell in SHELLS:
        if not shutil.which(shell):
            tap.skip(shell, f'no {shell}')
        elif shell == 'bash' and not os.path.exists('/usr/share/bash-completion/bash_completion'):
            tap.skip(shell, 'no bash-completion')
        else:
            check_shell(tap, shell, uiommu, directory, commands)
    tap.done()


if __name__ == '__main__':
    sys.exit(main())
