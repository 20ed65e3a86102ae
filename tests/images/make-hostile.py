#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes images that rkt must refuse.

make-hostile.py DIR        should-fail-*.aci (small) and should-fail.txt, the
                           table of what is said about each: NAME<TAB>TEXT
make-hostile.py --big DIR [NAME...]
                           only those too big or too slow to keep

The same bytes every time; run it again after adding a case.  Python's
standard library only.
"""
import bz2
import lzma
import os
import struct
import sys
import zlib

MANIFEST = (b'{"acKind":"ImageManifest","acVersion":"0.8.11",'
            b'"name":"example.com/hostile"}')
END = bytes(1024)
GIB = 1 << 30
SMALL, BIG = [], []


def number(n, width):
    """A header's number: octal, or base-256 when octal is too short."""
    text = b'%0*o' % (width - 1, n) if n >= 0 else b''
    if text and len(text) < width:
        return text + b'\0'
    return bytes([0x80 if n >= 0 else 0xff]) + \
        n.to_bytes(width - 1, 'big', signed=n < 0)


def header(name, kind=b'0', size=0, link=b'', uid=0, gid=0, major=0, minor=0,
           mode=None, magic=b'ustar\x0000', prefix=b''):
    mode = mode if mode is not None else (0o755 if kind == b'5' else 0o644)
    h = b''.join([
        name[:100].ljust(100, b'\0'), number(mode, 8), number(uid, 8),
        number(gid, 8), number(size, 12), number(1234567890, 12), b' ' * 8,
        kind, link[:100].ljust(100, b'\0'), magic, bytes(64),
        number(major, 8), number(minor, 8), prefix.ljust(155, b'\0'),
    ]).ljust(512, b'\0')
    return h[:148] + b'%06o\0 ' % sum(h) + h[156:]


def pad(data):
    return data + bytes(-len(data) % 512)


def entry(name, data=b'', kind=b'0', **more):
    return header(name, kind, more.pop('size', len(data)), **more) + pad(data)


def pax(records, kind=b'x'):
    body = b''
    for key, value in records:
        n = len(key) + len(value) + 3
        while len(b'%d' % n) + len(key) + len(value) + 3 != n:
            n = len(b'%d' % n) + len(key) + len(value) + 3
        body += b'%d %s=%s\n' % (n, key, value)
    return entry(b'pax', body, kind)


def gnu_long(text, kind=b'L'):
    return entry(b'././@LongLink', text + b'\0', kind, magic=b'ustar  \0')


TOP = entry(b'manifest', MANIFEST) + entry(b'rootfs', kind=b'5')


def gz(data, level=9):
    c = zlib.compressobj(level, zlib.DEFLATED, 31)
    return c.compress(data) + c.flush()


def zstd(blocks):
    """A frame of raw and repeated blocks: (data,) or (byte, count)."""
    out = b'\x28\xb5\x2f\xfd\x00\x58'  # window of 2 MiB, no size, no checksum
    items = []
    for b in blocks:
        if len(b) == 1:
            items += [(0, b[0][i:i + 131072], len(b[0][i:i + 131072]))
                      for i in range(0, len(b[0]), 131072)]
        else:
            left = b[1]
            while left > 0:
                items.append((1, b[0], min(left, 131072)))
                left -= 131072
    for i, (kind, data, size) in enumerate(items):
        last = i == len(items) - 1
        out += struct.pack('<I', last | kind << 1 | size << 3)[:3] + data
    return out


def case(name, says, tar, pack=gz, big=False):
    (BIG if big else SMALL).append((name, says, tar, pack))


def plain(data):
    return data


# --- names -------------------------------------------------------------------
case('dotdot', 'the name contains ..', TOP + entry(b'rootfs/../../evil') + END)
case('dotdot-inside', 'the name contains ..',
     TOP + entry(b'rootfs/a/../b') + END)
case('dotdot-pax', 'the name contains ..',
     TOP + pax([(b'path', b'rootfs/../../../../evil')]) +
     entry(b'rootfs/x') + END)
case('dotdot-gnu', 'the name contains ..',
     TOP + gnu_long(b'rootfs/' + b'../' * 60 + b'tmp/evil') +
     entry(b'rootfs/x', magic=b'ustar  \0') + END)
case('dotdot-prefix', 'the name contains ..',
     TOP + entry(b'evil', prefix=b'rootfs/../..') + END)
case('absolute', 'the name is absolute', TOP + entry(b'/tmp/evil') + END)
case('absolute-rootfs', 'the name is absolute',
     TOP + entry(b'/rootfs/evil') + END)
case('extra-file', 'nothing but manifest and rootfs/',
     TOP + entry(b'README') + END)
case('rootfs2', 'nothing but manifest and rootfs/',
     TOP + entry(b'rootfs2/x') + END)
case('long-name', 'the name is too long',
     TOP + pax([(b'path', b'rootfs/' + b'n' * 300)]) + entry(b'rootfs/n') +
     END)
case('long-path', 'the name is too long',
     TOP + pax([(b'path', b'rootfs' + b'/abcdefgh' * 900)]) +
     entry(b'rootfs/n') + END)
case('deep-path', 'the name is too long',
     TOP + pax([(b'path', b'rootfs' + b'/d' * 600)]) + entry(b'rootfs/n') +
     END)
case('nul-in-name', 'a NUL byte',
     TOP + pax([(b'path', b'rootfs/a\0/../../../evil')]) +
     entry(b'rootfs/n') + END)
case('control-characters', r'rootfs/\x1b[2J\x0arkt: ok\x07',
     TOP + entry(b'rootfs/\x1b[2J\nrkt: ok\x07') * 2 + END)
case('bidi-name', r'rootfs/\xe2\x80\xaegnp.exe',
     TOP + entry(b'rootfs/\xe2\x80\xaegnp.exe') * 2 + END)

# --- manifest and rootfs -----------------------------------------------------
case('no-manifest', 'no manifest was found', entry(b'rootfs', kind=b'5') + END)
case('no-rootfs', 'no rootfs directory', entry(b'manifest', MANIFEST) + END)
case('no-rootfs-entry', 'no rootfs directory',
     entry(b'manifest', MANIFEST) + entry(b'rootfs/a') + END)
case('rootfs-file', 'it is not a directory',
     entry(b'manifest', MANIFEST) + entry(b'rootfs', b'x') + END)
case('rootfs-symlink', 'it is not a directory',
     entry(b'manifest', MANIFEST) +
     entry(b'rootfs', kind=b'2', link=b'/') + entry(b'rootfs/evil') + END)
case('rootfs-twice', 'it occurs twice',
     TOP + entry(b'rootfs/', kind=b'5') + END)
case('manifest-twice', 'it occurs twice',
     entry(b'manifest', MANIFEST) + entry(b'./manifest', MANIFEST) +
     entry(b'rootfs', kind=b'5') + END)
case('manifest-symlink', 'it is not a regular file',
     entry(b'manifest', kind=b'2', link=b'/etc/passwd') +
     entry(b'rootfs', kind=b'5') + END)
case('manifest-hardlink', 'it is not a regular file',
     entry(b'rootfs', kind=b'5') + entry(b'rootfs/m', MANIFEST) +
     entry(b'manifest', kind=b'1', link=b'rootfs/m') + END)
case('manifest-directory', 'it is not a regular file',
     entry(b'manifest', kind=b'5') + entry(b'rootfs', kind=b'5') + END)
case('manifest-empty', 'image manifest', entry(b'manifest') +
     entry(b'rootfs', kind=b'5') + END)


def with_manifest(m):
    return entry(b'manifest', m) + entry(b'rootfs', kind=b'5') + END


case('manifest-text', 'image manifest', with_manifest(b'hello'))
case('manifest-array', 'image manifest', with_manifest(b'[]'))
case('manifest-deep', 'maximum parsing depth',
     with_manifest(MANIFEST[:-1] + b',"x":' + b'[' * 100000 + b']' * 100000 +
                   b'}'))
case('manifest-deep-objects', 'maximum parsing depth',
     with_manifest(MANIFEST[:-1] + b',"x":' + b'{"a":' * 50000))
case('manifest-pod', 'acKind',
     with_manifest(MANIFEST.replace(b'ImageManifest', b'PodManifest')))
case('manifest-bad-name', 'name',
     with_manifest(MANIFEST.replace(b'example.com/hostile', b'../../evil')))
case('manifest-not-utf8', 'image manifest',
     with_manifest(MANIFEST.replace(b'hostile', b'\xff\xfe')))
case('manifest-nul', 'NUL byte',
     with_manifest(MANIFEST + b'\0{"acKind":"ImageManifest"}'))
case('manifest-100m', 'are more than 4194304',
     with_manifest(MANIFEST[:-1] + b' ' * (100 << 20) + b'}'), bz2.compress)
case('manifest-sparse-100m', 'are more than 4194304',
     pax([(b'GNU.sparse.major', b'1'), (b'GNU.sparse.minor', b'0'),
          (b'GNU.sparse.name', b'manifest'),
          (b'GNU.sparse.realsize', b'104857600')]) +
     entry(b'manifest', b'0\n'.ljust(512, b'\0')) +
     entry(b'rootfs', kind=b'5') + END)

# --- duplicates and paths through something ----------------------------------
case('file-twice', 'it occurs twice',
     TOP + entry(b'rootfs/a') + entry(b'rootfs/a', b'evil') + END)
case('file-twice-unclean', 'it occurs twice',
     TOP + entry(b'rootfs/a') + entry(b'rootfs/.//a', b'evil') + END)
case('symlink-then-file', 'it occurs twice',
     TOP + entry(b'rootfs/a', kind=b'2', link=b'/etc/passwd') +
     entry(b'rootfs/a', b'evil') + END)
case('through-symlink', 'it lies behind a symbolic link',
     TOP + entry(b'rootfs/a', kind=b'2', link=b'/tmp') +
     entry(b'rootfs/a/evil', b'evil') + END)
case('through-symlink-up', 'it lies behind a symbolic link',
     TOP + entry(b'rootfs/a', kind=b'2', link=b'..') +
     entry(b'rootfs/a/b/c/evil', b'evil') + END)
case('through-symlink-deep', 'it lies behind a symbolic link',
     TOP + entry(b'rootfs/d', kind=b'5') +
     entry(b'rootfs/d/a', kind=b'2', link=b'/') +
     entry(b'rootfs/d/a/tmp', kind=b'5') +
     entry(b'rootfs/d/a/tmp/evil', b'evil') + END)
case('directory-becomes-symlink', 'it is not a directory, but earlier',
     TOP + entry(b'rootfs/a/b', b'x') +
     entry(b'rootfs/a', kind=b'2', link=b'/tmp') + END)
case('directory-then-symlink', 'it occurs twice',
     TOP + entry(b'rootfs/a', kind=b'5') +
     entry(b'rootfs/a', kind=b'2', link=b'/tmp') +
     entry(b'rootfs/a/evil', b'x') + END)
case('through-file', 'below something that is not a directory',
     TOP + entry(b'rootfs/a', b'x') + entry(b'rootfs/a/b', b'x') + END)
case('through-device', 'below something that is not a directory',
     TOP + entry(b'rootfs/a', kind=b'3', major=1, minor=3) +
     entry(b'rootfs/a/b', b'x') + END)

# --- hard links --------------------------------------------------------------
case('hardlink-absolute', 'it is a hard link out of the rootfs',
     TOP + entry(b'rootfs/a', kind=b'1', link=b'/etc/shadow') + END)
case('hardlink-outside', 'it is a hard link out of the rootfs',
     TOP + entry(b'rootfs/a', kind=b'1', link=b'rootfs/../../etc/shadow') +
     END)
case('hardlink-manifest', 'it is a hard link out of the rootfs',
     TOP + entry(b'rootfs/a', kind=b'1', link=b'manifest') + END)
case('hardlink-through-symlink', 'no earlier entry made',
     TOP + entry(b'rootfs/l', kind=b'2', link=b'/etc') +
     entry(b'rootfs/a', kind=b'1', link=b'rootfs/l/shadow') + END)
case('hardlink-forward', 'no earlier entry made',
     TOP + entry(b'rootfs/a', kind=b'1', link=b'rootfs/b') +
     entry(b'rootfs/b', b'x') + END)
case('hardlink-itself', 'no earlier entry made',
     TOP + entry(b'rootfs/a', kind=b'1', link=b'rootfs/a') + END)
case('hardlink-directory', 'it is a hard link to a directory',
     TOP + entry(b'rootfs/d', kind=b'5') +
     entry(b'rootfs/a', kind=b'1', link=b'rootfs/d') + END)
case('hardlink-pax', 'it is a hard link out of the rootfs',
     TOP + pax([(b'linkpath', b'../../../../etc/shadow')]) +
     entry(b'rootfs/a', kind=b'1', link=b'rootfs/b') + END)
case('hardlink-gnu', 'it is a hard link out of the rootfs',
     TOP + gnu_long(b'/' + b'./' * 60 + b'etc/shadow', b'K') +
     entry(b'rootfs/a', kind=b'1', link=b'/' + b'./' * 49 + b'e',
           magic=b'ustar  \0') + END)
case('symlink-empty', "symbolic link's target is empty",
     TOP + entry(b'rootfs/a', kind=b'2') + END)

# --- numbers -----------------------------------------------------------------
case('device-major', 'the device number is out of range',
     TOP + entry(b'rootfs/a', kind=b'4', major=5000) + END)
case('device-minor', 'the device number is out of range',
     TOP + entry(b'rootfs/a', kind=b'3', minor=1 << 20) + END)
case('owner-minus-one', 'the owner or group is out of range',
     TOP + entry(b'rootfs/a', uid=0xffffffff) + END)
case('group-huge', 'the owner or group is out of range',
     TOP + pax([(b'gid', b'99999999999')]) + entry(b'rootfs/a') + END)
case('size-negative', 'size is out of range', TOP + entry(b'rootfs/a', size=-512) + END)
case('size-8-exbibyte', 'size is out of range',
     TOP + entry(b'rootfs/a', size=(1 << 63) - 1) + END)
case('size-lies', 'Truncated', TOP + entry(b'rootfs/a', b'x', size=1 << 20))
case('size-lies-pax', 'Truncated',
     TOP + pax([(b'size', b'1000000')]) + entry(b'rootfs/a', b'x') + END)
case('size-100g', 'are more than the limit',
     TOP + entry(b'rootfs/zeros', size=100 * GIB) + bytes(1 << 20))
case('sparse-lies', 'are more than the limit',
     TOP + pax([(b'GNU.sparse.major', b'1'), (b'GNU.sparse.minor', b'0'),
                (b'GNU.sparse.name', b'rootfs/s'),
                (b'GNU.sparse.realsize', b'1152921504606846976')]) +
     entry(b'rootfs/x', b'1\n0\n1\n'.ljust(512, b'\0') + b'x') + END)
case('sparse-segment-lies', 'does not lie within its size',
     TOP + pax([(b'GNU.sparse.major', b'1'), (b'GNU.sparse.minor', b'0'),
                (b'GNU.sparse.name', b'rootfs/s'),
                (b'GNU.sparse.realsize', b'512')]) +
     entry(b'rootfs/x', b'2\n0\n512\n1000000\n512\n'.ljust(512, b'\0') +
           b'x' * 1024) + END)
case('sparse-map-endless', 'read the archive',
     TOP + pax([(b'GNU.sparse.major', b'1'), (b'GNU.sparse.minor', b'0'),
                (b'GNU.sparse.name', b'rootfs/s'),
                (b'GNU.sparse.realsize', b'4096')]) +
     entry(b'rootfs/x', b'99999999999999999999\n'.ljust(1024, b'9')) + END)

# --- the archive itself ------------------------------------------------------
case('empty', 'the file is empty', b'', plain)
case('text', 'not an image', b'hello world\n' * 100, plain)
case('armor', 'not an image',
     b'-----BEGIN PGP MESSAGE-----\n\nowGbwMvMwMV4\n' + b'A' * 600, plain)
case('v7-tar', 'not an image',
     (TOP + END).replace(b'ustar\x0000', bytes(8)), plain)
case('zeros', 'no manifest was found', bytes(10240))
case('checksum', 'checksum is wrong', TOP + header(b'rootfs/a').replace(b'rootfs/a',
                                                              b'rootfs/b') +
     END)
case('cut-in-header', 'Truncated', TOP + entry(b'rootfs/a')[:300])
case('cut-in-data', 'Truncated', (TOP + entry(b'rootfs/a', b'x' * 5000))[:-600])
case('no-end', 'ends without its end mark', TOP + entry(b'rootfs/a', b'x' * 512))
case('data-after-end', 'data follows the end',
     TOP + END + entry(b'rootfs/evil') + END)
case('data-after-end-far', 'data follows the end',
     TOP + END + bytes(3 << 20) + b'x')
case('pax-bomb', 'special header of a bad size', TOP + pax([(b'comment', b'c' * (2 << 20))]) +
     entry(b'rootfs/a') + END)
case('pax-record-lies', 'a bad pax record',
     TOP + entry(b'pax', b'999999999 path=rootfs/a\n', b'x') +
     entry(b'rootfs/a') + END)
case('pax-record-short', 'a bad pax record',
     TOP + entry(b'pax', b'3 path=rootfs/a\n', b'x') + entry(b'rootfs/a') +
     END)
case('pax-endless', 'two special headers', TOP + pax([(b'path', b'rootfs/a')]) * 200 + END)
case('gnu-endless', 'two special headers', TOP + gnu_long(b'rootfs/a' * 20) * 200 + END)
case('gnu-name-bomb', 'special header of a bad size', TOP + gnu_long(b'n' * (2 << 20)) +
     entry(b'rootfs/a', magic=b'ustar  \0') + END)

# --- compressed streams ------------------------------------------------------
GOOD = TOP + entry(b'rootfs/a', bytes(range(256)) * 4) + END
PACKERS = {
    'gzip': gz,
    'bzip2': bz2.compress,
    'xz': lambda d: lzma.compress(d, check=lzma.CHECK_CRC64),
    'zstd': lambda d: zstd([(d,)]),
}


def flip(data, at):
    return data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1:]


for packer, f in PACKERS.items():
    good = f(GOOD)
    case(f'{packer}-cut', f'the {packer} stream ends early',
         good[:-12], plain)
    case(f'{packer}-garbage-after', f'the {packer} stream', good + b'garbage',
         plain)
    case(f'{packer}-not-tar', 'no tar archive', f(b'hello world\n' * 100), plain)
    case(f'{packer}-twice', 'data follows the end', good + good, plain)
    if packer != 'zstd':  # this frame has no checksum
        case(f'{packer}-flipped', f'the {packer} stream is damaged',
             flip(good, len(good) - 7 if packer == 'gzip' else
                  len(good) // 2), plain)
case('zstd-block-type', 'the zstd stream is damaged',
     b'\x28\xb5\x2f\xfd\x00\x58\x07\x00\x00', plain)
case('zstd-window', 'the zstd stream',
     b'\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00', plain)  # 2 GiB
case('gzip-in-gzip', 'read the archive', gz(gz(GOOD)), plain)
case('xz-in-gzip', 'read the archive', gz(lzma.compress(GOOD)), plain)

# --- bombs -------------------------------------------------------------------
ZEROS = bytes(64 << 20)
HUGE = TOP + entry(b'rootfs/zeros', size=100 * GIB)


def gz_bomb(data):
    return gz(data) + gz(ZEROS) * 1600


def bz2_bomb(data):
    return bz2.compress(data) + bz2.compress(ZEROS) * 1600


def xz_bomb(data):
    return lzma.compress(data) + lzma.compress(ZEROS) * 1600


def zstd_bomb(data):
    return zstd([(data,)]) + zstd([(b'\0', GIB)]) * 100


def many_entries(_):
    c = zlib.compressobj(1, zlib.DEFLATED, 31)
    base = bytearray(header(b'rootfs/00000000'))
    out = [c.compress(TOP)]
    zero_sum = int(base[148:154], 8) - 8 * ord('0')
    for i in range(2000001):
        digits = b'%08d' % i
        base[7:15] = digits
        base[148:154] = b'%06o' % (zero_sum + sum(digits))
        out.append(c.compress(base))
    return b''.join(out) + c.compress(END) + c.flush()


case('zeros-100g-gzip', 'are more than the limit', HUGE, gz_bomb, big=True)
case('zeros-100g-bzip2', 'are more than the limit', HUGE, bz2_bomb, big=True)
case('zeros-100g-xz', 'are more than the limit', HUGE, xz_bomb, big=True)
case('zeros-100g-zstd', 'are more than the limit', HUGE, zstd_bomb, big=True)
# Not announced by any entry: padding after the end, until the limit.
case('padding-100g-zstd', 'more than the limit', TOP + END, zstd_bomb,
     big=True)
case('padding-100g-bzip2', 'more than the limit', TOP + END, bz2_bomb,
     big=True)
case('many-entries', 'more than 2000000 entries', b'', many_entries, big=True)


def main():
    args = sys.argv[1:]
    big = args[:1] == ['--big']
    if big:
        args.pop(0)
    if not args or args[0].startswith('-') or len(args) > 1 and not big:
        sys.exit(__doc__)
    cases = [c for c in (BIG if big else SMALL)
             if not args[1:] or c[0] in args[1:]]
    for name, _, tar, pack in cases:
        with open(os.path.join(args[0], f'should-fail-{name}.aci'),
                  'wb') as f:
            f.write(pack(tar))
    table = 'should-fail-big.txt' if big else 'should-fail.txt'
    with open(os.path.join(args[0], table), 'w') as f:
        f.writelines(f'{name}\t{says}\n' for name, says, _, _ in cases)


main()
