import csv
import io
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadml.leads import _csv
from leadml.leads._csv import CsvReader, mask

HEADER = "id,name,day,n,source,email"
WIDTH = 6

DAMAGED = {
    "a field too few": b"L9,Broken,2025-01-01,4,web",
    "a field too many": b"L9,Broken,2025-01-01,4,web,a@b.c,zz",
    "open quote": b'L9,"Broken,2025-01-01,4,web,a@b.c',
    "open quote, cut off": b'L9,"Broken',
    "closing quote only": b'L9,Broken",2025-01-01,4,web,a@b.c',
    "quote inside a bare field": b'L9,Bro"ken,2025-01-01,4,web,a@b.c',
    "single quote inside a quoted field": b'L9,"Bro"ken,2025-01-01,4,web,a@b.c',
    "NUL": b"L9,Bro\0ken,2025-01-01,4,web,a@b.c",
    "another encoding": b"L9,Br\xe9ken,2025-01-01,4,web,a@b.c",
    "repeated header": HEADER.encode(),
    "repeated header with a byte order mark": b"\xef\xbb\xbf" + HEADER.encode(),
    "line break in a bare field": b"L9,Bro\nken,2025-01-01,4,web,a@b.c",
    "carriage return in a bare field": b"L9,Bro\rken,2025-01-01,4,web,a@b.c",
    "another delimiter": b"L9;Broken;2025-01-01;4;web;a@b.c",
    "two rows in one line": b"L8,Broken,2025-01-01,4,web,a@b.cL9,Broken,2025-01-01,4,web,a@b.c",
    "second table": b"\nk,v\n1,2\n3,4",
    "blank line": b"",
    "spaces only": b"   ",
    "UTF-16": "L9,Broken,2025-01-01,4,web,a@b.c".encode("utf-16"),
}


def clean_rows(n, rng, quoting):
    names = ["Acme", "Blue Fox", "Ünï é", "", "O'Brien"]
    if quoting != "none":
        names += ["Blue, Fox", 'He said ""hi""', "multi\nline, text"]
    rows = []
    for number in range(n):
        name = rng.choice(names)
        fields = [f"L{number:05d}", name, f"2025-01-{rng.randint(1, 28):02d}", str(rng.randint(1, 999))]
        fields += [rng.choice(["web", "show"]), f"x{number}@y.com"]
        if quoting == "all":
            fields = [f'"{field}"' for field in fields]
        elif any(char in name for char in ',"\n'):
            fields[1] = f'"{name}"'
        rows.append(",".join(fields))
    return rows


def read(data, *, delimiter=",", quote='"', encoding="utf-8"):
    reader = CsvReader(io.BytesIO(data), delimiter=delimiter, quote=quote, encoding=encoding)
    rows, lines, rejects = [], [], []
    for block in reader.blocks(list(range(len(reader.header)))):
        rows += list(zip(*block.columns, strict=True))
        lines += block.lines
        rejects += block.rejects
    return rows, lines, rejects


def expected_fields(row, eol):
    return tuple(next(csv.reader(io.StringIO(row.replace("\n", eol), newline=""))))


@pytest.mark.parametrize("quoting", ["none", "some", "all"])
@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_row_alone_is_rejected_and_all_others_are_kept_exactly(kind, quoting, monkeypatch):
    for seed in range(12):
        rng = random.Random(f"{kind} {quoting} {seed}")
        monkeypatch.setattr(_csv, "BLOCK_BYTES", rng.choice([64, 500, 1 << 22]))
        eol = rng.choice(["\n", "\r\n"])
        rows = clean_rows(40, rng, quoting)
        place = rng.randrange(1, 39)
        lines = [HEADER.encode(), *(row.replace("\n", eol).encode() for row in rows)]
        lines.insert(1 + place, DAMAGED[kind])
        data = eol.encode().join(lines) + rng.choice([eol.encode(), b""])
        got, numbers, rejects = read(data)
        assert got == [expected_fields(row, eol) for row in rows]
        damaged_line = data[: data.index(lines[1 + place + 1])].count(b"\n") if kind != "blank line" else None
        assert rejects
        if damaged_line is not None:
            first = 1 + sum(line.count(b"\n") + 1 for line in lines[: 1 + place])
            last = first + DAMAGED[kind].count(b"\n")
            assert {reject.line for reject in rejects} <= set(range(first, last + 1))
        assert not {reject.line for reject in rejects} & set(numbers)


def test_several_damaged_rows_do_not_hide_each_other(monkeypatch):
    for seed in range(150):
        rng = random.Random(seed)
        monkeypatch.setattr(_csv, "BLOCK_BYTES", rng.choice([64, 500, 1 << 22]))
        rows = clean_rows(40, rng, rng.choice(["none", "some", "all"]))
        lines = [row.encode() for row in rows]
        for _ in range(3):
            lines.insert(rng.randrange(1, len(lines)), DAMAGED[rng.choice(list(DAMAGED))])
        got, _, rejects = read(b"\n".join([HEADER.encode(), *lines, b""]))
        assert got == [expected_fields(row, "\n") for row in rows], seed
        assert rejects


def test_the_rule_and_the_line_of_a_damaged_row_are_told():
    data = b"id,n\nA,1\nB\nC,\0\nD,x\xff\nid,n\nE,2\n\nF,3\n\n\n"
    _, lines, rejects = read(data)
    assert [(reject.line, reject.rule) for reject in rejects] == [
        (3, "field_count"),
        (4, "nul"),
        (5, "encoding"),
        (6, "repeated_header"),
        (8, "blank_line"),
    ]
    assert lines == [2, 7, 9]


def test_a_shape_never_shows_the_value():
    assert mask("Ann.Lée@corp.com") == "aaa.aaa@aaaa.aaa"
    assert mask("+44 20 7946 0958") == "+99 99 9999 9999"
    assert mask("é\x00ß") == "a?a"
    assert mask("x" * 99) == "a" * 40 + "…"


def test_a_quoted_text_may_go_over_lines():
    data = b'id,note,n\r\n1,"Dear Sir,\r\nHello, you",7\r\n2,plain,8\r\n'
    rows, lines, rejects = read(data)
    assert rows == [("1", "Dear Sir,\r\nHello, you", "7"), ("2", "plain", "8")]
    assert lines == [2, 4]
    assert not rejects


def test_rows_between_two_damaged_quotes_are_not_swallowed():
    clean = "".join(f"L{number:03d},x,{number}\n" for number in range(20))
    data = ('id,name,n\nL900,"open,1\n' + clean + 'L901,shut",2\n').encode()
    rows, _, rejects = read(data)
    assert len(rows) == 20
    assert [(reject.line, reject.rule) for reject in rejects] == [(2, "quote"), (23, "quote")]


def test_without_quoting_a_quote_is_a_letter():
    rows, _, rejects = read(b'id\tsize\n1\t5" pipe\n', delimiter="\t", quote="")
    assert rows == [("1", '5" pipe')]
    assert not rejects


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "empty"),
        (b"\xff\xfei\0d\0\n\0", "begins as utf-16"),
        (b'"id,n\n1,2\n', "header is damaged"),
        (b"id\0,n\n1,2\n", "header is damaged"),
        (b"\xe9d,n\n1,2\n", "the header is not utf-8"),
        (b" , \n1,2\n", "header is empty"),
    ],
)
def test_a_damaged_file_is_refused_as_a_whole(data, match):
    with pytest.raises(ValueError, match=match):
        read(data)


def test_encodings_are_read_as_declared():
    text = "id,name\n1,Žluťoučký\n2,日本\n"
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"):
        rows, lines, rejects = read(text.encode(encoding), encoding=encoding)
        assert rows == [("1", "Žluťoučký"), ("2", "日本")]
        assert lines == [2, 3]
        assert not rejects
    rows, _, _ = read("id,name\n1,Größe\n".encode("cp1252"), encoding="cp1252")
    assert rows == [("1", "Größe")]


def test_utf_8_under_another_declared_encoding_is_refused():
    with pytest.raises(ValueError, match="begins as utf-8, the contract says cp1252"):
        read(b"\xef\xbb\xbfid,n\n1,2\n", encoding="cp1252")


def test_utf_16_that_breaks_off_is_refused():
    with pytest.raises(ValueError, match="the file is not utf-16"):
        read("id,n\n1,2\n".encode("utf-16")[:-1], encoding="utf-16")


def test_old_line_ends_are_line_ends():
    rows, _, rejects = read(b"id,n\r1,2\r3,4\r")
    assert rows == [("1", "2"), ("3", "4")]
    assert not rejects


def test_blank_lines_at_the_end_are_counted_not_rejected():
    reader = CsvReader(io.BytesIO(b"id,n\n1,2\n\n\n"), delimiter=",", quote='"', encoding="utf-8")
    blocks = list(reader.blocks([0]))
    assert sum(len(block.lines) for block in blocks) == 1
    assert not any(block.rejects for block in blocks)
    assert reader.blank_lines == 2
    assert reader.ends_with_newline


def test_a_file_of_the_header_alone_has_no_rows():
    rows, _, rejects = read(b"id,n")
    assert rows == []
    assert not rejects


def test_utf_8_rows_in_a_file_of_a_one_byte_encoding_are_damaged():
    rows = "id,name\n1,Größe\n".encode("cp1252") + "2,Größe\n".encode() + b"3,plain\n"
    got, _, rejects = read(rows, encoding="cp1252")
    assert got == [("1", "Größe"), ("3", "plain")]
    assert [(reject.line, reject.rule) for reject in rejects] == [(3, "encoding")]
    clean, _, none = read("id,name\n1,Größe\n2,é\n".encode("latin-1"), encoding="latin-1")
    assert clean == [("1", "Größe"), ("2", "é")]
    assert not none


CSV_LINES = st.lists(
    st.one_of(
        st.sampled_from(
            ["1,a,2", "id,n,m", '1,"a ""b"" c",2', '"1","","2"', ",,", "", " ", "1,a", '1,"a', '"x,y",,']
        ),
        st.text(alphabet='1a,"" \r\ufeffé', max_size=8),
    ),
    max_size=12,
)


@settings(deadline=None)
@given(CSV_LINES, st.sampled_from(["\n", "\r\n"]), st.sampled_from(['"', "", "'"]), st.booleans())
def test_lines_read_at_once_are_those_read_one_by_one(lines, end, quote, ends):
    data = (end.join(["id,n,m", *lines]) + (end if ends else "")).encode()
    at_once = read(data, quote=quote)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CsvReader, "_fast", lambda *_: None)
        assert at_once == read(data, quote=quote)


@pytest.mark.parametrize("row", ["7,b,8", '"7","b","8"', '7,"a, ""b""",8'])
def test_undamaged_lines_are_read_at_once(row, monkeypatch):
    monkeypatch.setattr(CsvReader, "_slow", lambda *_: pytest.fail("a line was read by itself"))
    rows, lines, rejects = read(f"id,n,m\n{row}\n{row}\n".encode())
    assert [row[0] for row in rows] == ["7", "7"]
    assert (lines, rejects) == ([2, 3], [])
