#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make man pages (section 3) from the kernel-doc of the public headers.

One page per function, one per header for its types and constants. A function
without kernel-doc, a parameter without a line and a line without its parameter
are errors, so that headers and pages cannot drift apart.
"""
import argparse
import pathlib
import re
import sys
import textwrap

TOKEN = re.compile(r'/\*\*(?P<doc>.*?)\*/|/\*.*?\*/|^[ \t]*#(?:\\\n|[^\n])*', re.S | re.M)
FUNCTION = re.compile(r'^(?:static inline )?(?P<type>[\w\s]+?[\s*]+)(?P<name>\w+)\((?P<args>.*)\)$',
                      re.S)
DOC_HEAD = re.compile(r'(?:(?P<kind>struct|enum|union|typedef) )?(?P<name>\w+)(?:\(\))? - (?P<brief>.*)')
SECTIONS = ('Context', 'Return')


class DocError(Exception):
    pass


class Doc:
    """One kernel-doc comment, with the declaration that follows it."""

    def __init__(self, text, where):
        lines = [re.sub(r'^\s*\* ?', '', line).rstrip() for line in text.strip().split('\n')]
        head = DOC_HEAD.fullmatch(lines[0])
        if not head:
            raise DocError(f'{where}: not "NAME - what it is": {lines[0]}')
        self.where = where
        self.kind, self.name, self.brief = head['kind'] or 'function', head['name'], head['brief']
        self.params, self.paragraphs, self.sections = {}, [], {}
        self.declaration = ''
        self._parse(lines[1:])

    def _parse(self, lines):
        append = self.paragraphs.append
        fresh = True
        for line in lines:
            param = re.match(r'@(\w+):\s*(.*)', line)
            section = re.match(rf'({"|".join(SECTIONS)}):\s*(.*)', line)
            if param:
                self.params[param[1]] = param[2]
                append = lambda text, key=param[1]: self._extend(self.params, key, text)
                fresh = False
            elif section:
                self.sections[section[1]] = section[2]
                append = lambda text, key=section[1]: self._extend(self.sections, key, text)
                fresh = False
            elif not line:
                append, fresh = self.paragraphs.append, True
            elif fresh:
                append(line)
                append = lambda text: self._extend(self.paragraphs, -1, text)
                fresh = False
            else:
                append(line.strip())

    @staticmethod
    def _extend(where, key, text):
        where[key] = f'{where[key]} {text}'.strip()

    def check(self, names):
        missing = [name for name in names if name not in self.params]
        extra = [name for name in self.params if name not in names]
        if missing or extra:
            raise DocError(f'{self.where}: {self.name}: undocumented: {missing}, unknown: {extra}')


def split_args(args):
    """Split a parameter or declarator list at its outermost commas."""
    out, depth = [''], 0
    for char in args:
        depth += (char == '(') - (char == ')')
        if char == ',' and not depth:
            out.append('')
        else:
            out[-1] += char
    return [' '.join(arg.split()) for arg in out if arg.strip() not in ('', 'void')]


def declared_name(declarator):
    match = re.search(r'\(\*(\w+)\)', declarator) or re.search(r'(\w+)(?:\[[^]]*\])*$', declarator)
    return match[1] if match else declarator


def member_names(declaration, kind):
    """The members of a struct or an enum, the parameters of a function's type."""
    callback = re.fullmatch(r'typedef .*?\(\*\w+\)\((.*)\);', declaration, re.S)
    if callback:
        return [declared_name(arg) for arg in split_args(callback[1])]
    if '{' not in declaration:
        return []
    body = declaration[declaration.index('{') + 1:declaration.rindex('}')]
    body = re.sub(r'/\*.*?\*/', '', body, flags=re.S)
    if kind == 'enum':
        return [item.split('=')[0].strip() for item in split_args(body)]
    return [declared_name(item) for member in body.split(';') for item in split_args(member)]


def declaration_at(text):
    """The declaration at the head of @text: (source, the part before a function's body)."""
    depth = 0
    for i, char in enumerate(text):
        depth += (char == '{') - (char == '}')
        if not depth and char == ';':
            return text[:i + 1].strip(), text[:i].strip()
        if not depth and char == '}' and ')' in text[:text.index('{')]:
            return text[:i + 1].strip(), text[:text.index('{')].strip()
    raise DocError(f'no declaration in: {text[:60]!r}')


class Header:
    def __init__(self, path):
        self.path = path
        self.include = f'uiommu/{path.name}'
        self.page = f'uiommu_{path.name}'
        self.functions, self.types, self.constants = [], [], []
        source = path.read_text()
        comments = re.findall(r'^/\*(?!\*)\s*(.*?)\*/', source, re.S | re.M)
        about = [re.sub(r'^\s*\* ?', '', line) for line in comments[1].strip().split('\n')]
        self.about = ' '.join(line.strip() for line in about)
        self._read(source)

    def _read(self, source):
        at, doc = 0, None
        source = source.replace('extern "C" {', '').replace('#ifdef __cplusplus\n}', '#ifdef\n')
        while at < len(source):
            token = TOKEN.match(source, at)
            if source[at].isspace() or source[at] == ';':
                at += 1
            elif token and token['doc']:
                line = source.count('\n', 0, at) + 1
                doc = Doc(token['doc'], f'{self.path}:{line}')
                at = token.end()
            elif token:
                define = re.match(r'#define\s+(\w+)(\(\w+\))?\s+\S', token[0])
                if define:
                    end = source.find('\n', at)
                    self.constants.append(source[at:end])
                at = token.end()
            else:
                whole, head = declaration_at(source[at:])
                self._declare(doc, whole, head)
                doc, at = None, at + source[at:].index(whole) + len(whole)

    def _declare(self, doc, whole, head):
        function = FUNCTION.match(head)
        if function and not head.startswith('typedef'):
            if not doc or doc.name != function['name']:
                raise DocError(f'{self.path}: no kernel-doc before {function["name"]}()')
            args = split_args(function['args'])
            doc.check([declared_name(arg) for arg in args])
            if function['type'].split()[-1] != 'void' and 'Return' not in doc.sections:
                raise DocError(f'{doc.where}: {doc.name}: no "Return:"')
            if 'Context' not in doc.sections:
                raise DocError(f'{doc.where}: {doc.name}: no "Context:"')
            doc.declaration = prototype(' '.join(function['type'].split()), doc.name, args)
            self.functions.append(doc)
        elif doc:
            doc.check(member_names(whole, doc.kind))
            doc.declaration = whole
            self.types.append(doc)
        elif '{' in whole:
            raise DocError(f'{self.path}: no kernel-doc before {whole.split("{")[0].strip()}')


def prototype(kind, name, args):
    lead = f'{kind}{"" if kind.endswith("*") else " "}{name}('
    # A blank inside one parameter is no place to break.
    text = ', '.join(arg.replace(' ', '\0') for arg in args) or 'void'
    lines = textwrap.wrap(text, max(78 - len(lead), 30), break_long_words=False)
    return (lead + ('\n' + ' ' * len(lead)).join(lines) + ');').replace('\0', ' ')


def roff(text):
    text = text.replace('\\', '\\e').replace('-', '\\-').replace('^', '\\(ha').replace('~', '\\(ti')
    return re.sub(r"^([.'])", r'\\&\1', text, flags=re.M)


class Writer:
    def __init__(self, headers, version, date):
        self.headers, self.version, self.date = headers, version, date
        self.public = {doc.name for header in headers for doc in header.functions}

    def inline(self, text, this=''):
        text = roff(text)
        text = re.sub(r'@(\w+)', r'\\fI\1\\fP', text)
        return re.sub(r'\b(\w+)\(\)', lambda m: self._reference(m, this), text)

    def _reference(self, match, this):
        section = '(3)' if match[1] in self.public and match[1] != this else '()'
        return f'\\fB{match[1]}\\fP{section}'

    def page(self, name, brief, include):
        return ['.\\" SPDX-License-Identifier: MIT',
                f'.TH "{name}" 3 "{self.date}" "uiommu {self.version}" "uiommu manual"',
                '.SH NAME', f'{roff(name)} \\- {roff(brief[0].lower() + brief[1:].rstrip("."))}',
                '.SH LIBRARY', 'I/O page tables in user space (\\fIlibuiommu\\fP, \\fI\\-luiommu\\fP)',
                '.SH SYNOPSIS', '.nf', f'.B #include <{include}>']

    def function(self, header, doc):
        out = self.page(doc.name, doc.brief, header.include)
        out += ['.PP'] + [f'.B "{line}"' for line in roff(doc.declaration).split('\n')] + ['.fi']
        out += ['.SH DESCRIPTION', self.inline(doc.brief, doc.name)]
        for paragraph in doc.paragraphs:
            out += ['.PP', self.inline(paragraph, doc.name)]
        if doc.params:
            out += ['.SH PARAMETERS'] + self.tagged(doc.params, 'I')
        if 'Return' in doc.sections:
            out += self.returned(doc)
        out += ['.SH CONTEXT', self.inline(doc.sections['Context'], doc.name)]
        text = ' '.join([*doc.paragraphs, *doc.params.values(), *doc.sections.values()])
        see = sorted(set(re.findall(r'\b(\w+)\(\)', text)) & self.public - {doc.name})
        return out + self.see_also(see + [header.page])

    def returned(self, doc):
        text = doc.sections['Return']
        errors = re.findall(r'\B-(E[A-Z]+) (.*?)(?=; -E|\. [A-Z]|$)', text)
        if errors:
            head = re.split(r'[;:.]? \B-E[A-Z]', text)[0]
            or_else = '' if head.endswith(' as ERR_PTR()') else ', or'
            text = f'{head}{or_else} one of the negative errno values under ERRORS.'
        out = ['.SH RETURN VALUE', self.inline(text[0].upper() + text[1:], doc.name)]
        if errors:
            out += ['.SH ERRORS'] + self.tagged(
                {f'-{name}': what.rstrip('.') + '.' for name, what in errors}, 'B')
        return out

    def tagged(self, items, font):
        out = []
        for name, text in items.items():
            out += ['.TP', f'.{font} {roff(name)}', self.inline(text[:1].upper() + text[1:])]
        return out

    def header(self, header):
        out = self.page(header.page, header.about.split('. ')[0].split(': ')[0], header.include) + ['.fi']
        out += ['.SH DESCRIPTION', self.inline(header.about)]
        for doc in header.types:
            out += [f'.SS {roff(doc.kind)} {roff(doc.name)}', self.inline(doc.brief)]
            for paragraph in doc.paragraphs:
                out += ['.PP', self.inline(paragraph)]
            out += self.code(doc.declaration) + self.tagged(doc.params, 'I')
            for section, text in doc.sections.items():
                out += ['.PP', f'{section}: {self.inline(text)}']
        if header.constants:
            out += ['.SS Constants'] + self.code('\n'.join(header.constants))
        return out + self.see_also(sorted(doc.name for doc in header.functions))

    @staticmethod
    def code(text):
        return ['.PP', '.nf', '.EX', roff(text.expandtabs(8)), '.EE', '.fi']

    @staticmethod
    def see_also(names):
        return ['.SH SEE ALSO', '.nh', '.ad l',
                *(f'.BR {roff(name)} (3),' for name in names), '.BR uiommu (7)']

    def pages(self):
        for header in self.headers:
            yield header.page, lambda h=header: self.header(h)
            for doc in header.functions:
                yield doc.name, lambda h=header, d=doc: self.function(h, d)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--list', action='store_true', help='print the names of the pages')
    parser.add_argument('--version', default='')
    parser.add_argument('--date', default='')
    parser.add_argument('--output', type=pathlib.Path, default='.')
    parser.add_argument('headers', type=pathlib.Path, nargs='+')
    args = parser.parse_args()
    try:
        writer = Writer([Header(path) for path in args.headers], args.version, args.date)
    except DocError as error:
        sys.exit(f'kdoc2man: {error}')
    for name, make in writer.pages():
        if args.list:
            print(f'{name}.3')
        else:
            (args.output / f'{name}.3').write_text('\n'.join(make()) + '\n')


if __name__ == '__main__':
    main()
