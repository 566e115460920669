#!/usr/bin/env python3
"""Reads a snapshot as docs/format.md specifies it, with nothing but Python's standard library.

    python3 snapshot.py published/manifest/world            sections, items and some rows
    python3 snapshot.py published/manifest/world --json     everything
    python3 snapshot.py published/blob/0c14…                a single blob, such as the lite snapshot

Checksums are compared if the module `xxhash` is installed.
"""

import json
import pathlib
import struct
import sys

try:
    import xxhash
except ImportError:
    xxhash = None


# MessagePack


def unpack(data, at=0):
    """The value at `at`, and the place after it."""
    mark = data[at]
    at += 1

    def number(code, at):
        size = struct.calcsize(code)
        return struct.unpack_from(">" + code, data, at)[0], at + size

    def items(count, at):
        values = []
        for _ in range(count):
            value, at = unpack(data, at)
            values.append(value)
        return values, at

    def pairs(count, at):
        values, at = items(2 * count, at)
        return dict(zip(values[::2], values[1::2])), at

    if mark <= 0x7F:
        return mark, at
    if mark >= 0xE0:
        return mark - 256, at
    if mark <= 0x8F:
        return pairs(mark & 15, at)
    if mark <= 0x9F:
        return items(mark & 15, at)
    if mark <= 0xBF:
        return data[at : at + (mark & 31)].decode(), at + (mark & 31)
    if mark in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[mark], at
    numbers = {0xCA: "f", 0xCB: "d", 0xCC: "B", 0xCD: "H", 0xCE: "I", 0xCF: "Q", 0xD0: "b", 0xD1: "h", 0xD2: "i", 0xD3: "q"}
    if mark in numbers:
        return number(numbers[mark], at)
    lengths = {0xC4: "B", 0xC5: "H", 0xC6: "I", 0xD9: "B", 0xDA: "H", 0xDB: "I", 0xDC: "H", 0xDD: "I", 0xDE: "H", 0xDF: "I"}
    count, at = number(lengths[mark], at)
    if mark <= 0xC6:
        return data[at : at + count], at + count
    if mark <= 0xDB:
        return data[at : at + count].decode(), at + count
    return items(count, at) if mark <= 0xDD else pairs(count, at)


# Building blocks


def split(section, count):
    """The parts of a section: their lengths as u32, then their bytes."""
    lengths = struct.unpack_from(f"<{count}I", section)
    parts, at = [], 4 * count
    for length in lengths:
        parts.append(section[at : at + length])
        at += length
    if at != len(section):
        raise ValueError("the parts do not fill the section")
    return parts


def u32s(part):
    return list(struct.unpack(f"<{len(part) // 4}I", part))


def packed(part):
    """Numbers of a fixed width, least significant bit first."""
    width, count = struct.unpack_from("<BI", part)
    bits = int.from_bytes(part[5:], "little")
    mask = (1 << width) - 1
    return [bits >> (place * width) & mask for place in range(count)]


def column(part):
    """Numbers, or places in a list of distinct numbers."""
    distinct, places = (packed(half) for half in split(part, 2))
    return [distinct[place] for place in places] if distinct else places


def strings(part):
    offsets, text = split(part, 2)
    offsets = packed(offsets)
    return [text[start:end] for start, end in zip(offsets, offsets[1:])]


class Bits:
    """Fields of any width, most significant bit first."""

    def __init__(self, data, at=0):
        self.data, self.at = data, at

    def take(self, width):
        first, last = self.at // 8, (self.at + width + 7) // 8
        word = int.from_bytes(self.data[first:last], "big")
        value = word >> (8 * last - self.at - width) & ((1 << width) - 1)
        self.at += width
        return value


class Code:
    """A canonical Huffman code, from the numbers of codes of 0, 1, … 32 bits."""

    def __init__(self, part):
        self.symbols = {}
        code = symbol = 0
        for length, count in enumerate(u32s(part)):
            code <<= 1
            for _ in range(count):
                self.symbols[length, code] = symbol
                code, symbol = code + 1, symbol + 1

    def read(self, bits):
        code = 0
        for length in range(33):
            if (length, code) in self.symbols:
                return self.symbols[length, code]
            code = code << 1 | bits.take(1)
        raise ValueError("no code")


# Sections


def read_ids(section):
    widths, alphabet, blocks, text, permutation = split(section, 5)
    whole, kept, rest, byte = u32s(widths)
    blocks = packed(blocks)
    ranks = packed(split(permutation, 4)[0])
    by_rank = []
    for rank in range(len(ranks)):
        if rank % 16 == 0:
            bits, before, shared = Bits(text, blocks[rank // 16]), b"", 0
            length = bits.take(whole)
        else:
            shared = bits.take(kept)
            length = bits.take(rest)
        before = before[:shared] + bytes(alphabet[bits.take(byte)] for _ in range(length))
        by_rank.append(before.decode())
    return [by_rank[rank] for rank in ranks]


def read_texts(part, ids):
    head, prefix, suffix, word_counts, words, letter_counts, letters, blocks, stream = split(part, 9)
    separator, end, none, spell, letter_end = u32s(head)
    words, letters, blocks = strings(words), strings(letters), packed(blocks)
    word_code, letter_code = Code(word_counts), Code(letter_counts)
    texts = []
    for index, item in enumerate(ids):
        if index % 4 == 0:
            bits = Bits(stream, blocks[index // 4])
        found = []
        while True:
            symbol = word_code.read(bits)
            if symbol in (end, none):
                break
            if symbol != spell:
                found.append(words[symbol])
                continue
            word = b""
            while (letter := letter_code.read(bits)) != letter_end:
                word += letters[letter]
            found.append(word)
        text = b"" if symbol == none else prefix + bytes([separator]).join(found) + suffix
        texts.append(text.replace(b"\xff", item.encode()).decode())
    return texts


def read_attributes(section, ids):
    currency, names, images, urls, categories, brands, category, brand, price, added, stock = split(section, 11)
    categories = [""] + [name.decode() for name in strings(categories)]
    brands = [""] + [name.decode() for name in strings(brands)]
    columns = zip(
        read_texts(names, ids),
        read_texts(images, ids),
        read_texts(urls, ids),
        column(category),
        column(brand),
        column(price),
        column(added),
        column(stock),
    )
    return currency.decode(), [
        {
            "name": name,
            "image": image,
            "url": url,
            "category": categories[category],
            "brand": brands[brand],
            "price": price - 1 if price else None,
            "added": added,
            "in_stock": stock == 0,
        }
        for name, image, url, category, brand, price, added, stock in columns
    ]


def read_sales(section):
    items, prices, begins, ends, _ = split(section, 5)
    return {
        item: {"price": price, "from": begin or None, "until": None if end == 2**32 - 1 else end}
        for item, price, begin, end in zip(packed(items), column(prices), column(begins), column(ends))
    }


def read_groups(section):
    names, group = split(section, 2)
    names = [""] + [name.decode() for name in strings(names)]
    return [names[place] for place in column(group)]


def read_popularity(section):
    values, places, recency, order = split(section, 4)
    values = [0.0] + list(struct.unpack(f"<{len(values) // 4}f", values))
    return [values[place] for place in places], [byte / 255 for byte in recency], packed(order)


def read_rows(section):
    """The rows of a table or a shard, by item: pairs of neighbour and weight, in order of index."""
    head, blocks, offsets, data = split(section, 4)
    first, count, _, greatest, first_order, levels = struct.unpack_from("<IIIfBB", head)
    lengths = head[18 : 18 + levels]
    weights = struct.unpack_from(f"<{levels}f", head, 18 + levels)
    codes, code = {}, 0
    for length in range(1, 9):
        for level in range(levels):
            if lengths[level] == length:
                codes[length, code] = weights[level]
                code += 1
        code <<= 1
    blocks, offsets = u32s(blocks), struct.unpack(f"<{count}H", offsets)
    rows = {}
    for row, offset in enumerate(offsets):
        rows[first + row] = found = []
        if offset == 0xFFFF:
            continue
        # At most 255 neighbours of 57 bits and a header.
        start = blocks[row // 32] + offset
        window, at = int.from_bytes(data[start : start + 2048], "little"), 0

        def take(width):
            nonlocal at
            value = window >> at & ((1 << width) - 1)
            at += width
            return value

        neighbours, order, scale = take(8), take(4), take(12)
        neighbour = None
        for _ in range(neighbours):
            k = first_order if neighbour is None else order
            zeros = 0
            while take(1) == 0:
                zeros += 1
            value = (take(zeros) + (1 << zeros) - 1) << k
            value |= take(k)
            if neighbour is None:
                neighbour = first + row + (value >> 1 ^ -(value & 1))
            else:
                neighbour += value + 1
            code = take(1)
            length = 1
            while (length, code) not in codes:
                code, length = code << 1 | take(1), length + 1
            found.append((neighbour, codes[length, code] * greatest * 2 ** (-scale / 128)))
    return rows


# Blobs and manifests

VERSION = 1
TABLES = ("coview", "knn", "bought")


def read_blobs(blobs):
    envelopes = [unpack(blob)[0] for blob in blobs]
    for envelope in envelopes:
        if envelope["verge"] != VERSION:
            raise ValueError(f"format {envelope['verge']}, expected {VERSION}")
        if envelope["catalogue"] != envelopes[0]["catalogue"]:
            raise ValueError("the blobs are of different catalogues")
    sections = [section for envelope in envelopes for section in envelope["sections"]]
    for section in sections:
        if xxhash and xxhash.xxh3_64_intdigest(section["bytes"]) != section["checksum"]:
            raise ValueError(f"section {section['name']} is damaged")
        if section["version"] != VERSION:
            raise ValueError(f"section {section['name']} has version {section['version']}, expected {VERSION}")
    first = {section["name"]: section["bytes"] for section in reversed(sections)}
    ids = read_ids(first["ids"])
    currency, items = read_attributes(first["attributes"], ids)
    popularity, recency, order = read_popularity(first["popularity"])
    sales = read_sales(first["sales"]) if "sales" in first else {}
    groups = read_groups(first["groups"]) if "groups" in first else [""] * len(ids)
    for index, (item, values) in enumerate(zip(items, zip(ids, groups, popularity, recency))):
        item.update(zip(("id", "group", "popularity", "recency"), values), sale=sales.get(index))
    tables = {}
    for section in sections:
        if section["name"] in TABLES:
            tables.setdefault(section["name"], {}).update(read_rows(section["bytes"]))
    return {
        "region": next((envelope["region"] for envelope in envelopes if envelope["region"]), ""),
        "built_at": max(envelope["built_at"] for envelope in envelopes),
        "sections": [[section["name"], section["version"], len(section["bytes"])] for section in sections],
        "currency": currency,
        "items": items,
        "popular": order,
        "tables": tables,
        "strategies": unpack(first["strategies"])[0],
        "rules": unpack(first["rules"])[0] if "rules" in first else None,
    }


def read(path):
    path = pathlib.Path(path)
    if path.parent.name != "manifest":
        return read_blobs([path.read_bytes()])
    manifest = json.loads(path.read_text())
    if manifest["format"] != VERSION:
        raise ValueError(f"manifest format {manifest['format']}, expected {VERSION}")
    blobs = []
    for reference in manifest["blobs"]:
        blob = (path.parent.parent / "blob" / reference["hash"]).read_bytes()
        if len(blob) != reference["bytes"] or (xxhash and xxhash.xxh3_128_hexdigest(blob) != reference["hash"]):
            raise ValueError(f"blob {reference['hash']} is damaged")
        blobs.append(blob)
    return read_blobs(blobs)


def main(arguments):
    if len(arguments) not in (1, 2) or arguments[1:] not in ([], ["--json"]):
        sys.exit(__doc__)
    snapshot = read(arguments[0])
    if arguments[1:]:
        print(json.dumps(snapshot))
        return
    for name, version, size in snapshot["sections"]:
        print(f"{name:12} {version} {size:10}")
    print(f"{len(snapshot['items'])} items, {len(snapshot['popular'])} of them popular in {snapshot['region']}")
    for index in snapshot["popular"][:3]:
        print(snapshot["items"][index]["id"], snapshot["items"][index]["name"])
        for table, rows in snapshot["tables"].items():
            for neighbour, weight in sorted(rows.get(index, []), key=lambda entry: -entry[1])[:5]:
                print(f"  {table:7} {weight:.4f}  {snapshot['items'][neighbour]['id']}")


if __name__ == "__main__":
    main(sys.argv[1:])
